// SPDX-License-Identifier: MIT
// wait_group: a counter, and waiters in the parking lot.
//
// The word holds the counter (a signed number) in its upper half and the number of waiters in its
// lower. A change that leaves waiters waiting is one compare-exchange. One that makes the counter
// zero while there are waiters is made under the lock of their bucket, which also takes all of them
// off their queue: whoever comes to the address afterwards, perhaps to another object, is not
// mistaken for one of them. After it the word is zero and this object may be gone.
//
// One whose wait is cancelled stays in the number, since the word may speak of others by then. It
// says only whether anybody may wait.
#include <pirn/wait_group.h>

#include <cstdint>

#include "runtime/sema.h"
#include "sync/destroyed.h"

namespace pirn {
namespace {

using word = detail::word<std::uint64_t>;

constexpr int k_counter_shift = 32;

std::int64_t counter_of(std::uint64_t state) {
    return static_cast<std::int64_t>(state) >> k_counter_shift;
}
std::uint32_t waiters_of(std::uint64_t state) { return static_cast<std::uint32_t>(state); }

struct change {
    word& state;
    int n;
    bool below_zero = false;
};

[[noreturn]] [[gnu::cold]] void throw_below_zero() {
    throw panic("sync: negative WaitGroup counter");
}

// Zero altogether when the counter is.
std::uint64_t with_counter(std::uint64_t old, std::int64_t counter) {
    if (counter == 0) return 0;
    return static_cast<std::uint64_t>(counter) << k_counter_shift | waiters_of(old);
}

// The word after adding n. Throws where it cannot be.
std::uint64_t changed(std::uint64_t old, int n) {
    const std::int64_t counter = counter_of(old) + n;
    // Beyond 31 bits is below zero, as in Go.
    if (counter < 0 || counter > INT32_MAX) throw_below_zero();
    return with_counter(old, counter);
}

// True: the counter is zero now, and the waiters are to be woken.
bool count_down(void* arg) {
    auto* c = static_cast<change*>(arg);
    std::uint64_t old = c->state.load(std::memory_order_relaxed);
    for (;;) {
        const std::int64_t counter = counter_of(old) + c->n;
        c->below_zero = counter < 0;
        if (c->below_zero) return false;
        // Others may have added meanwhile.
        const std::uint64_t next = with_counter(old, counter);
        // ORD(wait-group): acq_rel; pairs with the acquires of those who wait, and with itself:
        // the last one passes on what the others did before their done().
        if (c->state.compare_exchange_weak(old, next, std::memory_order_acq_rel,
                                           std::memory_order_relaxed))
            return counter == 0;
    }
}

// Joins the waiters unless the counter is zero.
bool join(void* arg) {
    auto* state = static_cast<word*>(arg);
    // ORD(wait-group): acquire; pairs with the releases in add, add_slow and count_down.
    std::uint64_t old = state->load(std::memory_order_acquire);
    while (counter_of(old) != 0) {
        if (waiters_of(old) == UINT32_MAX) return true;
        // ORD(wait-group): acquire, as above, for a counter that turns out to be zero.
        if (state->compare_exchange_weak(old, old + 1, std::memory_order_acquire,
                                         std::memory_order_acquire))
            return true;
    }
    return false;
}

}  // namespace

void wait_group::add_slow(int n) {
    std::uint64_t old = state_.load(std::memory_order_relaxed);
    for (;;) {
        const std::uint64_t next = changed(old, n);
        if (next == 0 && waiters_of(old) != 0) {
            change c{.state = state_, .n = n};
            rt::sema_wake_all(&state_, 0, count_down, &c);
            if (c.below_zero) throw_below_zero();
            return;
        }
        // ORD(wait-group): acq_rel; pairs with the acquires of those who wait, and with itself:
        // the last one passes on what the others did before their done().
        if (state_.compare_exchange_weak(old, next, std::memory_order_acq_rel,
                                         std::memory_order_relaxed))
            return;
    }
}

bool wait_group::wait_until(const detail::wait_end& end) {
    // ORD(wait-group): acquire; pairs with the releases in add, add_slow and count_down.
    if (counter_of(state_.load(std::memory_order_acquire)) == 0) return true;
    const std::uintptr_t token = rt::sema_park(&state_, join, &state_, false,
                                               rt::wait_reason::wait_group_wait, 0, end);
    if (token == rt::k_timed_out) return false;
    // Relaxed: a check against misuse, for those that no context ends.
    if (token != rt::k_not_parked && end.never() &&
        state_.load(std::memory_order_relaxed) != 0)
        throw panic("sync: WaitGroup is reused before previous Wait has returned");
    return true;
}

void wait_group::destroy_slow(const char* what) const { sync::check_nobody_waits(&state_, what); }

}  // namespace pirn
