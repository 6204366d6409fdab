// SPDX-License-Identifier: MIT
// mutex: a word (mutex_word.h), and waiters in the parking lot.
//
// Locking takes the locked bit by a compare-exchange in any state that lacks it. Unlocking:
//   1. Nobody parked: clears the word by a compare-exchange.
//   2. Else takes the first waiter from the lot and decides under the bucket's lock:
//      normal    clears locked, so that anyone may take it; the woken one competes, and parks at
//                the front again if it loses.
//      starving  leaves locked set: the mutex is the waiter's now. Leaves the mode if that one has
//                waited for less than 1 ms, or is the last.
// Both end in one atomic operation on the word, after which the unlocker uses the address as a key
// at the most. Go's mutex cannot do that, as it counts waiters in the word, and sends its wakeup to
// a semaphore inside of it after it gave the mutex free.
//
// Go also has a bit for "one is woken already", which spares others' unlocks a wakeup. Here it
// would outlive a run that drops the woken goroutine, and then nobody would ever be woken; a mutex
// may be a global. Each waiter is woken once for each time it parks, that is the bound.
//
// One that gives up, at its deadline or cancelled, leaves the queue and the word alone: parked and
// starving say what may be, and the next unlock finds out.
#include <pirn/mutex.h>

#include <cstdint>

#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/owners.h"
#include "runtime/sema.h"
#include "sync/destroyed.h"
#include "sync/mutex_word.h"

namespace pirn {
namespace {

using namespace mutex_word;

constexpr std::int64_t k_starvation_ns = 1'000'000;  // Go's
// What the waker tells the waiter.
constexpr std::uintptr_t k_compete = 0, k_handed_over = 1;

std::uint32_t how_to_lock() { return k_locked | (rt::watch_owners() ? k_watched : 0); }

// One who waits, as the function under the bucket's lock sees it.
struct wait {
    word& state;
    bool starving;
};

// Gives the mutex free, or over to the one that was woken.
std::uintptr_t give(const rt::sema_wake& found, void* arg) {
    word& state = *static_cast<word*>(arg);
    if (!found.woke || !is_starving(state)) {
        give_free(state, found.more);
        return k_compete;
    }
    hand_over(state, how_to_lock(), found.more,
              base::now_ns() - found.since_ns >= k_starvation_ns);
    return k_handed_over;
}

bool take_free(word& state) {
    const std::uint32_t locked = how_to_lock();
    if (!take(state, locked)) return false;
    if (locked != k_locked) [[unlikely]] rt::become_owner(&state);
    return true;
}

bool announce_wait(void* arg) {
    auto* waiting = static_cast<wait*>(arg);
    return announce(waiting->state, waiting->starving);
}

// False: the end has come.
bool wait_for(word& state, const detail::wait_end& end) {
    std::int64_t since_ns = 0;
    wait w{.state = state, .starving = false};
    std::uint32_t round = 0;
    for (;;) {
        if (take_free(state)) return true;
        // In starvation mode it is handed over and never free.
        if ((state.load(std::memory_order_relaxed) & k_starving) == 0 && rt::sema_spin(round)) {
            ++round;
            continue;
        }
        const bool again = since_ns != 0;
        if (!again) {
            since_ns = base::now_ns();
            // Who gives up closes no circle.
            if (rt::watch_owners() && end.never()) rt::await_owner(&state);
        }
        const std::uintptr_t token = rt::sema_park(&state, announce_wait, &w, again,
                                                   rt::wait_reason::mutex_lock, since_ns, end);
        if (token == rt::k_timed_out) return false;
        if (token == k_handed_over) {
            if (rt::watch_owners()) rt::become_owner(&state);
            return true;
        }
        if (token == k_compete) {
            w.starving = base::now_ns() - since_ns > k_starvation_ns;
            round = 0;
        }
    }
}

}  // namespace

void mutex::lock_slow() { wait_for(state_, {}); }

bool mutex::lock_until(const detail::wait_end& end) { return wait_for(state_, end); }

bool mutex::try_lock_slow() { return take_free(state_); }

void mutex::record_owner() {
    note_watched(state_);
    rt::become_owner(&state_);
}

void mutex::unlock_slow(std::uint32_t old) {
    if ((old & k_locked) == 0) base::fatal("sync: unlock of unlocked mutex");
    // Before it is free, so that nobody is on record for what another one holds.
    if ((old & k_watched) != 0) rt::end_ownership(&state_);
    rt::sema_wake_one(&state_, give, &state_);
}

void mutex::destroy_slow() const { sync::check_nobody_waits(&state_, "mutex"); }

}  // namespace pirn
