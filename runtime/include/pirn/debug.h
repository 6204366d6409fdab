// SPDX-License-Identifier: MIT
// Looking at a running program: ids, dumps and counters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pirn {

// The calling goroutine's id, unique in its run, from 1 on; 0 on a foreign thread.
std::uint64_t goroutine_id();

// Writes every goroutine to the descriptor: id, state or wait reason, where it was created. The
// caller's own frames are shown. Goroutines that run meanwhile may be shown in a past state.
void dump_goroutines(int fd);

// Counters of one P since the run began. Each is exact when nothing runs.
struct proc_stats {
    std::uint64_t spawns = 0;          // go calls
    std::uint64_t switches = 0;        // times a goroutine was given the CPU
    std::uint64_t parks = 0;           // times a goroutine went to sleep
    std::uint64_t steals = 0;          // goroutines taken from another P
    std::uint64_t timers_fired = 0;
    std::size_t queued = 0;            // goroutines that wait for this P now
};

// In all: the sums over the Ps, and what belongs to none.
struct stats {
    std::uint64_t spawns = 0;          // also by foreign threads
    std::uint64_t switches = 0;
    std::uint64_t parks = 0;
    std::uint64_t steals = 0;
    std::uint64_t wakeups = 0;         // idle threads woken for work
    std::uint64_t timers_fired = 0;
    std::uint64_t polls = 0;           // epoll_wait calls
    int procs = 0;
    int threads = 0;                   // Ms that exist
    std::size_t stacks = 0;            // that exist, in use or cached
    std::size_t segments = 0;          // that stacks have grown by, in use or cached
    std::size_t stack_bytes = 0;       // address space of all stacks and segments
    std::uint64_t hops = 0;            // calls that went on on a segment
    std::size_t stacks_max = 0;        // how many guarded stacks fit; 0: no limit but memory
    std::vector<proc_stats> per_proc;  // of every P there ever was in this run, by its number
};
stats runtime_stats();

}  // namespace pirn
