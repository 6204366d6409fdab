// SPDX-License-Identifier: MIT
// Segments: what a stack grows by. Where they come from and when they go back; the hop onto one and
// back is arch/<cpu>/morestack.S.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stack/stack.h"

namespace pirn::stack {

// From here on stacks can grow: each to max_bytes, all its segments together.
void prepare_segments(std::size_t max_bytes);
std::size_t max_bytes();

// Gives back all of a thread's cached segments but the first `keep`. By the thread itself.
void trim_segments(arch::growing_thread& thread, unsigned keep);

// The lowest usable byte of the stack that a goroutine is on now.
inline std::byte* lowest(const arch::growth& g) {
    return reinterpret_cast<std::byte*>(g.limit - arch::k_reserve_bytes);
}
// Bytes of all stacks that it is on: its block and the segments of its hops, and how many of these.
struct extent {
    std::size_t bytes;
    unsigned segments;
};
extent extent_of(const block& b);

struct segment_stats {
    std::size_t segments;       // that exist, in use or cached
    std::size_t mapped_bytes;
};
segment_stats stats_of_segments();

// Unmaps those that are in no thread's cache and on no goroutine's stack, and forgets the others.
void release_segments();
// Gives back the segments that a goroutine is on, which will not go on.
void drop_segments(arch::growth& g);

}  // namespace pirn::stack
