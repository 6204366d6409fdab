// SPDX-License-Identifier: MIT
// latch: a counter, and waiters in the parking lot. A change that leaves waiters waiting is one
// compare-exchange; one that makes the counter zero while there are some is made under the lock of
// their bucket, which takes all of them, and after which the object may be gone.
#include <pirn/latch.h>

#include <cstdint>

#include <pirn/runtime.h>

#include "runtime/sema.h"
#include "sync/destroyed.h"

namespace pirn {

struct latch::core {
    static bool join(void* arg) {
        auto& state = *static_cast<detail::word<std::int64_t>*>(arg);
        // ORD(latch): acquire, for a counter that turns out to be zero; pairs with the releases in
        // step.
        std::int64_t old = state.load(std::memory_order_acquire);
        while (old != 0) {
            // ORD(latch): acquire; as above.
            if (state.compare_exchange_weak(old, old | k_waited_for, std::memory_order_acquire,
                                            std::memory_order_acquire))
                return true;
        }
        return false;
    }

    // Counts down, if `old` is what is there. To zero with waiters: under the bucket's lock only.
    static bool step(latch& of, std::int64_t& old, std::int64_t next) {
        // ORD(latch): acq_rel; pairs with the acquires of those who wait, and with itself: the last
        // one passes on what the others did before.
        return of.state_.compare_exchange_weak(old, next, std::memory_order_acq_rel,
                                               std::memory_order_relaxed);
    }
};

void latch::throw_negative() { throw panic("sync: negative latch counter"); }

void latch::count_down(std::ptrdiff_t n) {
    std::int64_t old = state_.load(std::memory_order_relaxed);
    for (;;) {
        const std::int64_t left = (old >> 1) - n;
        if (n < 0 || left < 0) throw_negative();
        if (left == 0 && (old & k_waited_for) != 0) break;
        if (core::step(*this, old, left * 2 | (old & k_waited_for))) return;
    }
    bool negative = false;
    rt::sema_visit(&state_, [&](rt::sema_line& line) {
        // Others may have counted down meanwhile.
        for (;;) {
            const std::int64_t left = (old >> 1) - n;
            negative = left < 0;
            if (negative) return;
            if (core::step(*this, old, left == 0 ? 0 : left * 2 | k_waited_for)) {
                if (left != 0) return;
                while (rt::sleeper* s = line.first()) line.take(s, 0);
                return;
            }
        }
    });
    if (negative) throw_negative();
}

bool latch::wait_until(const detail::wait_end& end) {
    return try_wait() || rt::sema_park(&state_, core::join, &state_, false,
                                       rt::wait_reason::wait_group_wait, 0, end) != rt::k_timed_out;
}

void latch::destroy_slow() const { sync::check_nobody_waits(&state_, "latch"); }

}  // namespace pirn
