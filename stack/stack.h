// SPDX-License-Identifier: MIT
// Stacks: what a goroutine's stack is, and its sizes. The layers above know a stack only through
// this header.
//
// A stack is a block: a piece of a region with a guard below it and a header at its upper end.
//
//   slot:  | guard 64 KB | usable, committed page by page as it is touched | header | colour |
//                         ^ lo                                              ^ the block, = hi
//
// The header is the `block` below; the runtime's g derives from it, so that a goroutine and the
// frames it parks with share a page. `colour` staggers the headers by cache lines, because slots
// lie a multiple of the page size apart and their tops would all meet in the same cache sets.
//
// Code that is not compiled for growth needs a stack that is large from the start, so blocks are
// large and lazily committed: address space is cheap, and a parked goroutine costs the one page
// it has touched. The guard is wider than a page because frames are: a function that skips over
// one page with its locals still lands in 64 KB.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pirn::stack {

inline constexpr std::size_t k_page_bytes = 4096;
inline constexpr std::size_t k_guard_bytes = 64 << 10;
inline constexpr std::size_t k_default_bytes = 256 << 10;
inline constexpr std::size_t k_colours = 16;
inline constexpr std::size_t k_colour_bytes = 128;

struct block {
    std::byte* lo = nullptr;      // the lowest usable byte
    block* next_free = nullptr;   // in a cache or a batch of the global list
    block* next_batch = nullptr;  // between batches of the global list
    std::size_t bytes = 0;        // what was asked for: the usable size, header included
    std::uint32_t in_use = 0;     // 1 while a goroutine has it
    std::uint32_t size_class = 0; // 0: the default size; n: twice that n times

    // The first frame grows down from here.
    std::byte* hi() { return reinterpret_cast<std::byte*>(this); }
};

// Set once before the first block is made: the size of the object that derives from block, and how
// it is constructed in place for a block that is handed out for the first time.
struct layout {
    std::size_t header_bytes;
    std::size_t header_align;
    block* (*construct)(void* memory);
};
void set_layout(const layout& l);

}  // namespace pirn::stack
