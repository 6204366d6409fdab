// SPDX-License-Identifier: MIT
// Segments: what a stack grows by. Where they come from and when they go back; the hop onto one and
// back is arch/<cpu>/morestack.S.
#pragma once

#include <cstddef>
#include <cstdint>

#include "stack/stack.h"

namespace pirn::stack {

// A thread that runs goroutines, as far as their stacks go. Owned by the thread; `hops` is read by
// anyone.
struct thread : arch::growing_thread {
    base::atomic<std::uint64_t> hops{0};   // up to the last look
    std::uint64_t granted = 0;             // what hops_left was then
    std::int64_t looked_ns = 0;
    double per_second = 0;
    const void* suspect = nullptr;         // the site of the last sample
    unsigned samples = 0;                  // still to be taken, while hops are many
    unsigned repeats = 0;                  // samples that were the suspect's
    bool asked_to_give_way = false;        // the limit word was made k_give_way
};
// How many hops there were on a thread.
std::uint64_t hops_of(const thread& t);

struct growth_options {
    std::size_t max_bytes;  // a goroutine's stack may grow to this, all its segments together
    // For high-water marks: every hop is seen by the run time, and takes 100 times as long.
    bool see_every_hop = false;
    // Called once for a call that hops more than a million times a second.
    void (*on_hot_call)(const void* site, double per_second) = nullptr;
    // Called where a thread has been asked to give way: where `callee` is called, which returns to
    // `site`.
    void (*on_give_way)(const void* site, const void* callee) = nullptr;
    // Called before and after a stack gets a segment that its thread has not at hand.
    void (*on_growing)(block& b, bool begins) = nullptr;
};
// From here on stacks can grow.
void prepare_segments(const growth_options& o);
std::size_t max_bytes();

// Gives back all of a thread's cached segments but the first `keep`. By the thread itself.
void trim_segments(thread& t, unsigned keep);

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
// In the child of a fork: there are no free segments; those that stacks are on stay.
void forget_segments();
// Gives back the segments that a goroutine is on, which will not go on.
void drop_segments(arch::growth& g);

}  // namespace pirn::stack
