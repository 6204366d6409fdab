// SPDX-License-Identifier: MIT
// M: an OS thread that runs goroutines. It needs a P to do so; its own stack is g0.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <cstdint>

#include "runtime/base/rand.h"
#include "runtime/g.h"
#include "runtime/placement.h"
#include "stack/segment.h"

namespace pirn::rt {

struct lock_holder;
struct p;
struct sched;

// What an M without a P waits for, because it runs nothing but one goroutine.
enum class bound_wait : std::uint8_t {
    no,
    for_p,          // a P: its goroutine is on a queue, or was taken off it a moment ago
    for_goroutine,  // its goroutine is parked
};

enum class after_switch : std::uint8_t {
    nothing,
    park,      // after_g waits: call unlock(unlock_arg), after which wakers can find it
    requeue,   // a yield: put after_g at the back of the P's queue
    release,   // an end: give after_g and its stack back
};

// An image of __cxa_eh_globals: the same two words on both CPUs.
struct [[gnu::may_alias]] eh_globals_image {
    void* caught;
    std::uint64_t uncaught;
};

struct m : stack::thread {
    // The goroutine that runs; null on g0. The limit word changes with it (sched.cc).
    g* cur() const { return static_cast<g*>(running.get()); }

    // Owned by the thread itself.
    p* cpu = nullptr;              // the P; null while idle or polling
    sched* owner = nullptr;        // the run this M belongs to
    // What the next one on this M does for the one that has just left its stack. Set right before
    // a switch, taken right after.
    after_switch after = after_switch::nothing;
    g* after_g = nullptr;
    void (*unlock)(void*) = nullptr;
    void* unlock_arg = nullptr;
    thread_state g0_carried;
    eh_globals_image* eh_globals = nullptr;   // this thread's __cxa_get_globals() and &errno
    int* errno_address = nullptr;
    std::uint64_t hops_before = 0; // when its cache of segments was last looked at
    std::int64_t trimmed_ns = 0;
    bool spinning = false;         // counted in sched::spinning
    p* called_from = nullptr;      // the P it had when it began to block
    base::relaxed_ptr<g> bound_g;  // the only goroutine that it runs (lock_os_thread)
    bool bound_ended = false;      // that has ended: the M ends as well
    bool writing_fd = false;       // inside io::fd's write: a SIGPIPE now is ours
#ifdef PIRN_CHECKS
    std::uint8_t held[16] = {};    // ranks of the locks held, and how many
    std::uint8_t held_count = 0;
    std::uint32_t held_channels = 0;   // a select's, beside the one in `held`
    lock_holder* holder_to_report = nullptr;   // by g0, see os_locks.cc
#endif
    base::rand random;
    [[no_unique_address]] base::san_fiber san;

    // Guarded by sched::mu.
    m* next_idle = nullptr;
    m* next_all = nullptr;
    // Handed over by whoever wakes this M, before wake.wake().
    p* handed = nullptr;
    bound_wait waits = bound_wait::no;  // written under sched::mu
    bool bound_ready = false;           // under sched::mu: its goroutine is runnable, on no queue
    bool handed_spinning = false;
    placement place;
    bool handed_look = false;           // no P, but to look again at what there is to sleep on
    note wake;
    // Set when the thread runs no code of the runtime any more.
    note ended;

    bool joined = false;           // by m0, at the end of the run
    bool detached = false;         // ends by itself, before the run does
    int id = 0;
    int tid = 0;
    pthread_t thread{};
    std::uintptr_t* limit_word = nullptr;  // the thread's; null when it is about to end
    const std::byte* stack_lo = nullptr;   // the lowest byte of the thread's own stack
    void* signal_stack = nullptr;
    stack_t signal_stack_before{};
};

}  // namespace pirn::rt
