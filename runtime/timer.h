// SPDX-License-Identifier: MIT
// Timers: a function called at a time. Each P has a heap; whoever schedules on it, or is idle,
// runs what is due.
#pragma once

#include <cstdint>

#include "runtime/base/atomic.h"
#include "runtime/base/clock.h"

namespace pirn::rt {

struct p;

// A timer is owned by its user and must be stopped (timer_stop) before it goes away, unless it
// fired. Its fields belong to the heap it is in, guarded by that heap's lock. The end of a run
// disarms its timers; one that has to be told (for_end) fires then, with at_end set, outside of any
// run.
struct timer {
    std::int64_t when_ns = 0;
    // Runs on a scheduler's thread under no lock: must not block, park or throw; may ready(), add
    // and stop timers. The timer is already out of its heap and may be gone when it returns.
    void (*fire)(timer*) = nullptr;
    // The P whose heap it was put in last; written under that heap's lock. Null: never started.
    base::atomic<p*> heap{nullptr};
    std::uint32_t place = 0;   // its place there, counted from 1; 0: not pending
    bool for_end = false;      // never changes while it is pending
    bool at_end = false;       // written before it fires, for its function
};

// Arms a timer that is not pending. From goroutines and foreign threads while a runtime runs;
// throws panic without one.
void timer_start(timer* t, std::int64_t when_ns);
// Disarms. True: it was pending and will not fire. False: it fires or has fired; the call has then
// waited for its function to return, unless it is made from that function itself.
bool timer_stop(timer* t);

// What timer_cancel found.
enum class cancelled : std::uint8_t {
    prevented,   // it will not fire; also when its run has ended
    firing,      // its function has been called, or is about to be
    run_ends,    // its run is ending: ask again, but let its function have the owner's lock first
};
// Disarms without waiting, for owners who call it, timer_start and the function's work under one
// lock of theirs: a timer that was started and whose function has not had that lock since. One that
// fires may be started again at once, and is then called once for each start. From any thread.
cancelled timer_cancel(timer* t);

}  // namespace pirn::rt
