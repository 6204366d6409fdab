// SPDX-License-Identifier: MIT
// mutex: a word, and waiters in the parking lot.
//
// The word's bits:
//   locked    somebody holds it.
//   parked    there may be waiters in the parking lot. Set by a waiter, under the bucket's lock,
//             before it parks; cleared by an unlock that saw the queue, under that lock.
//   starving  starvation mode; only together with locked and parked.
//   watched   its owner is on record (runtime/owners.h), so its unlock takes the slow path; only
//             together with locked.
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
#include <pirn/mutex.h>

#include "runtime/base/atomic.h"
#include "runtime/base/check.h"
#include "runtime/base/clock.h"
#include "runtime/owners.h"
#include "runtime/sema.h"

namespace pirn {
namespace {

using word = base::atomic<std::uint32_t>;
static_assert(sizeof(word) == sizeof(std::uint32_t) && alignof(word) == alignof(std::uint32_t));

constexpr std::uint32_t k_locked = 1, k_parked = 2, k_starving = 4, k_watched = 8;
constexpr std::int64_t k_starvation_ns = 1'000'000;  // Go's
// What the waker tells the waiter.
constexpr std::uintptr_t k_compete = 0, k_handed_over = 1;

// What lock finds in a mutex that it may take at once. While owners are on record it is what no
// mutex has, so that each lock goes the slow way, and the fast one has no question to ask.
constexpr std::uint32_t k_never = ~0u;

// The public header has no atomics to show; the representation is the same.
word& atomic(std::uint32_t& state) { return reinterpret_cast<word&>(state); }

// One who waits, as the function under the bucket's lock sees it.
struct wait {
    word& state;
    bool starving;
};

// Parks, unless the mutex is free by now.
bool announce(void* arg) {
    auto* w = static_cast<wait*>(arg);
    std::uint32_t old = w->state.load(std::memory_order_relaxed);
    for (;;) {
        if ((old & k_locked) == 0) return false;
        const std::uint32_t next = old | k_parked | (w->starving ? k_starving : 0);
        // Relaxed: the word is all that is said here, and the lock of the bucket orders the rest.
        if (w->state.compare_exchange_weak(old, next, std::memory_order_relaxed,
                                           std::memory_order_relaxed))
            return true;
    }
}

// Gives the mutex free, or over to the one that was woken.
std::uintptr_t give(const rt::sema_wake& found, void* arg) {
    auto* state = static_cast<word*>(arg);
    // Relaxed: we hold the mutex, and whoever adds a bit does so under the bucket's lock.
    const bool starving = (state->load(std::memory_order_relaxed) & k_starving) != 0;
    if (found.woke && starving) {
        const bool stay = found.more && base::now_ns() - found.since_ns >= k_starvation_ns;
        // Relaxed: it is not given free; the wakeup orders what the two holders do.
        const std::uint32_t watched = rt::watch_owners() ? k_watched : 0;
        state->store(k_locked | watched | (found.more ? k_parked : 0) | (stay ? k_starving : 0),
                     std::memory_order_relaxed);
        return k_handed_over;
    }
    // ORD(mutex): release; pairs with the acquires in take and lock.
    state->store(found.more ? k_parked : 0, std::memory_order_release);
    return k_compete;
}

// Locks it if it is free.
bool take(word& state, std::uint32_t old) {
    const std::uint32_t locked = k_locked | (rt::watch_owners() ? k_watched : 0);
    while ((old & k_locked) == 0) {
        // ORD(mutex): acquire; pairs with the releases in unlock and give.
        if (state.compare_exchange_weak(old, old | locked, std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
            if (locked != k_locked) [[unlikely]] rt::become_owner(&state);
            return true;
        }
    }
    return false;
}

[[gnu::noinline]] void lock_slow(word& state) {
    std::int64_t since_ns = 0;
    wait w{.state = state, .starving = false};
    std::uint32_t round = 0;
    for (;;) {
        // Relaxed: take orders what follows.
        const std::uint32_t old = state.load(std::memory_order_relaxed);
        if (take(state, old)) return;
        // In starvation mode it is handed over and never free.
        if ((old & k_starving) == 0 && rt::sema_spin(round)) {
            ++round;
            continue;
        }
        const bool again = since_ns != 0;
        if (!again) {
            since_ns = base::now_ns();
            if (rt::watch_owners()) rt::await_owner(&state);
        }
        const std::uintptr_t token = rt::sema_park(&state, announce, &w, again,
                                                   rt::wait_reason::mutex_lock, since_ns);
        if (token == k_handed_over) {
            if (rt::watch_owners()) rt::become_owner(&state);
            return;
        }
        if (token == k_compete) {
            w.starving = base::now_ns() - since_ns > k_starvation_ns;
            round = 0;
        }
    }
}

[[gnu::noinline]] void unlock_slow(word& state, std::uint32_t old) {
    if ((old & k_locked) == 0) base::fatal("sync: unlock of unlocked mutex");
    // Before it is free, so that nobody is on record for what another one holds.
    if ((old & k_watched) != 0) rt::end_ownership(&state);
    rt::sema_wake_one(&state, give, &state);
}

}  // namespace

void mutex::lock() {
    std::uint32_t expected = rt::watch_owners() ? k_never : 0;
    // ORD(mutex): acquire; pairs with the releases in unlock and give.
    if (!atomic(state_).compare_exchange(expected, k_locked, std::memory_order_acquire,
                                         std::memory_order_relaxed)) [[unlikely]]
        lock_slow(atomic(state_));
}

bool mutex::try_lock() noexcept {
    // Relaxed: take orders what follows.
    return take(atomic(state_), atomic(state_).load(std::memory_order_relaxed));
}

void mutex::unlock() {
    std::uint32_t expected = k_locked;
    // ORD(mutex): release; pairs with the acquires in lock and take.
    if (!atomic(state_).compare_exchange(expected, 0, std::memory_order_release,
                                         std::memory_order_relaxed)) [[unlikely]]
        unlock_slow(atomic(state_), expected);
}

}  // namespace pirn
