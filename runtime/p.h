// SPDX-License-Identifier: MIT
// P: the right to run goroutines, and what a running M needs without locks.
#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/base/cacheline.h"
#include "runtime/g.h"
#include "runtime/lock.h"
#include "runtime/records.h"
#include "runtime/runq.h"
#include "runtime/timer.h"
#include "stack/pool.h"

namespace pirn::rt {

inline constexpr std::uint32_t k_ring = 256;
// Decisions between looks around: prime, as Go's, so that it does not resonate with programs.
inline constexpr std::uint32_t k_check_interval = 61;

// How long an M may block before its P goes to another. For the owner of a lock, which may merely
// not have a CPU, a little longer: else each that wants the lock costs a thread.
inline constexpr std::int32_t k_patience_ns = 20'000;
inline constexpr std::int32_t k_lock_patience_ns = 100'000;

// A counter with one writer at a time (the M that has the P), read by anyone.
class counter {
  public:
    void add(std::uint64_t n = 1) { value_.add_single_writer(n); }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

  private:
    base::atomic<std::uint64_t> value_{0};
};

// A timer in a heap, with its deadline beside it: sifting reads no timer, many of which lie on
// parked goroutines' stacks.
struct timer_entry {
    std::int64_t when_ns;
    timer* t;
};

// Timers of one P: a 4-ary heap ordered by when_ns.
struct timer_heap {
    lock mu{lock_rank::timers};
    // Guarded by mu.
    timer_entry* items = nullptr;   // within `memory`, so that siblings share a cache line
    void* memory = nullptr;
    std::uint32_t size = 0;
    std::uint32_t capacity = 0;
    timer* firing = nullptr;   // its function runs now, on the M `firing_on`
    m* firing_on = nullptr;
    // The first deadline, k_never_ns for none. Written under mu, read by anyone.
    base::atomic<std::int64_t> first_ns{base::k_never_ns};
};

enum class p_status : std::uint8_t {
    idle,     // on the idle list, to be taken by anyone
    in_use,   // an M has it, or is being handed it
    resting,  // kept for the host's thread, between its calls of poll_once (host.cc)
    retired,  // its id is not below maxprocs: on no list
};

struct alignas(base::k_cache_line_bytes) p {
    // Owned by the M that has the P.
    sched* owner = nullptr;
    base::relaxed_ptr<m> runner;   // the M that has it; looked at by sysmon
    qnode* first = nullptr;        // runs before all that is queued
    bool took_returned = false;    // the last that it looked for had come back from a region
    bool preempted_first = false;  // at the last look around
    std::uint32_t until_check = 1; // decisions until the next look at the global queue, timers, net
    bool check_due = true;
    std::uint32_t id = 0;
    bool alone = true;             // no other P exists, so no thief does
    stack::cache stacks;
    record_cache records;
    std::uint64_t next_id = 0, end_id = 0;  // goroutine ids, taken in batches
    counter spawned, finished, switches, parks, steals, fired, calls;

    // Thieves may look at the queue: set once the P is not alone.
    base::atomic<bool> stealable{false};
    // Asks the P's M to come to the scheduling loop at its next decision. By anyone.
    base::atomic<bool> attention{false};
    // What `switches` was when its goroutine was asked to give way: another one is not meant.
    base::atomic<std::uint64_t> asked_at{0};

    // The M that blocks while the P stays with it: whoever clears this has the P. ORD(caller).
    base::atomic<m*> caller{nullptr};
    base::atomic<std::int32_t> patience_ns{0};  // how long it is left there, if others could run

    runq<qnode, k_ring> queue;
    timer_heap timers;

    // Guarded by sched::mu.
    p* next_idle = nullptr;
    p_status status = p_status::retired;
};

}  // namespace pirn::rt
