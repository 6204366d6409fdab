// SPDX-License-Identifier: MIT
// Stacks: what a goroutine's stack is, and its sizes. The layers above know a stack only through
// this header.
//
// A goroutine starts on a block, whose upper end is a header: the `block` below, from which the
// runtime's g derives, so that a goroutine and the frames it parks with lie together.
//
//   small:                 | usable, the lowest 512 bytes below the limit | header |
//   large: | guard 64 KB | usable, committed page by page as it is touched | header | colour |
//                         ^ lo                                              ^ the block, = hi
//
// Small blocks are for code that went through the pass (split/): it checks for room at every call
// that may need more, and goes on on a segment, a piece of memory like a large block, where there
// is too little (arch/<cpu>/morestack.S). So small blocks need no guard and lie side by side.
// Code that did not go through the pass starts on a large block.
//
// Sizes, and how a stack shrinks (the counterpart of Go's rule to halve a stack of which less than
// a quarter is used; here nothing moves, so it is segments that come and go):
//  - A small block is 2 KB less one cache line, so that the headers of neighbours, which are what a
//    scheduler touches, fall into different cache sets. The header is part of it.
//  - A large block is 256 KB, or a power of two times that. `colour` staggers the headers for the
//    same reason. The guard is wider than a page because frames are: a function that skips over
//    one page with its locals still lands in it.
//  - The first segment is 256 KB too; each further one that a goroutine is on at the same time is
//    twice the one before, up to options::max_stack in all.
//  - A call that returns leaves its segment in its thread's cache, warm for the next. A thread that
//    has not hopped for k_idle_ns keeps one, as does a thread that goes to sleep; a busy one keeps
//    k_cached_segments. What is given back loses its pages at once, and segments larger than the
//    first size, or more than k_spare_segments of that, their address space too.
//  - Regions of blocks are unmapped when all their blocks are free, at most k_idle_ns after a
//    thread had nothing to do; blocks are handed out from the lowest region that has any, so that
//    the others empty themselves.
#pragma once

#include <cstddef>
#include <cstdint>

#include "arch/arch.h"

namespace pirn::stack {

inline constexpr std::size_t k_page_bytes = 4096;
inline constexpr std::size_t k_guard_bytes = 64 << 10;
inline constexpr std::size_t k_small_bytes = 2048 - 64;
inline constexpr std::size_t k_large_bytes = 256 << 10;
inline constexpr std::size_t k_colours = 16;
inline constexpr std::size_t k_colour_bytes = 128;
inline constexpr std::int64_t k_idle_ns = 10'000'000;
inline constexpr unsigned k_cached_segments = 8;
inline constexpr unsigned k_spare_segments = 64;

// Size classes: 0 is small; c > 0 is large, k_large_bytes << (c - 1).
inline constexpr std::uint32_t k_classes = 32;
constexpr std::size_t class_bytes(std::uint32_t size_class) {
    return size_class == 0 ? k_small_bytes : k_large_bytes << (size_class - 1);
}

struct block : arch::growth {
    std::byte* lo = nullptr;        // the lowest usable byte
    block* next_free = nullptr;     // in a cache or a region
    std::size_t high_water = 0;     // most bytes on all its stacks, as far as hops were seen
    std::uint32_t region = 0;       // which of its class
    std::uint8_t size_class = 0;
    std::uint8_t in_use = 0;        // 1 while a goroutine has it

    // The first frame grows down from here.
    std::byte* hi() { return reinterpret_cast<std::byte*>(this); }
    std::size_t bytes() const { return class_bytes(size_class); }
    // The limit word on this block itself.
    std::uintptr_t own_limit() const {
        return reinterpret_cast<std::uintptr_t>(lo) + arch::k_reserve_bytes;
    }
};

// A word at the lower end of a small block, which nothing should reach. For builds with checks.
inline constexpr std::uint64_t k_canary = 0x5eed'dead'5eed'beef;
inline void set_canary(block* b) {
    if (b->size_class == 0) *reinterpret_cast<volatile std::uint64_t*>(b->lo) = k_canary;
}
inline bool canary_stands(const block* b) {
    return b->size_class != 0 ||
           *reinterpret_cast<const volatile std::uint64_t*>(b->lo) == k_canary;
}

// Set once before the first block is made: the size of the object that derives from block, and how
// it is constructed in place for a block that is handed out for the first time.
struct layout {
    std::size_t header_bytes;
    std::size_t header_align;
    block* (*construct)(void* memory);
};
void set_layout(const layout& l);

}  // namespace pirn::stack
