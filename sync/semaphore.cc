// SPDX-License-Identifier: MIT
// semaphore: a word, and a line in the parking lot.
//
// While nobody waits, the word is changed by compare-exchanges. The first that has to wait sets the
// bit waited_for, under the bucket's lock; from then on the word is changed under this lock only,
// until somebody finds the line empty and clears it. So a release gives units to those in line, in
// their turn, and ends in one exchange. One that gives up, at its deadline, may have been in the
// way of those behind it, for whom there is enough.
#include <pirn/semaphore.h>

#include <cstdint>

#include <pirn/runtime.h>

#include "runtime/sema.h"
#include "sync/destroyed.h"

namespace pirn {

// What runs under the bucket's lock.
struct semaphore::core {
    semaphore& of;
    std::int64_t k;

    // True: in line. False: acquired.
    static bool join(void* arg) {
        auto* c = static_cast<core*>(arg);
        auto& state = c->of.state_;
        std::int64_t old = state.load(std::memory_order_relaxed);
        for (;;) {
            const bool enough = (old & k_waited_for) == 0 && old >> 1 >= c->k;
            const std::int64_t next = enough ? old - c->k * 2 : old | k_waited_for;
            // ORD(semaphore): acquire; pairs with the releases in release and settle.
            if (state.compare_exchange_weak(old, next, std::memory_order_acquire,
                                            std::memory_order_relaxed))
                return !enough;
        }
    }

    // With the bit set: gives out what those in line can have, in their turn, and what is left.
    static void settle(semaphore& of, rt::sema_line& line, std::int64_t added) {
        std::int64_t free = (of.state_.load(std::memory_order_relaxed) >> 1) + added;
        rt::sleeper* s = line.first();
        while (s != nullptr && s->since_ns <= free) {
            free -= s->since_ns;
            line.take(s, 0);
            s = line.first();
        }
        // ORD(semaphore): acq_rel; pairs with the acquires in take, and with itself: it hands on
        // what earlier releases left.
        of.state_.exchange(free * 2 | (s != nullptr ? k_waited_for : 0),
                           std::memory_order_acq_rel);
    }
};

void semaphore::throw_negative() { throw panic("sync: negative semaphore"); }

bool semaphore::acquire_until(std::int64_t k, const detail::wait_end& end) {
    core c{*this, k};
    const std::uintptr_t token = rt::sema_park(&state_, core::join, &c, false,
                                               rt::wait_reason::semaphore, k, end);
    if (token != rt::k_timed_out) return true;
    rt::sema_visit(&state_, [this](rt::sema_line& line) {
        if ((state_.load(std::memory_order_relaxed) & k_waited_for) != 0)
            core::settle(*this, line, 0);
    });
    return false;
}

bool semaphore::try_acquire_slow(std::int64_t k) {
    if ((state_.load(std::memory_order_relaxed) & k_waited_for) == 0) return false;
    // Those in line may have been dropped with their run.
    rt::sema_visit(&state_, [this](rt::sema_line& line) {
        if ((state_.load(std::memory_order_relaxed) & k_waited_for) != 0)
            core::settle(*this, line, 0);
    });
    return take(k);
}

void semaphore::release_slow(std::int64_t k) {
    if (k < 0) throw_negative();
    bool too_many = false;
    rt::sema_visit(&state_, [&](rt::sema_line& line) {
        std::int64_t old = state_.load(std::memory_order_relaxed);
        for (;;) {
            too_many = k > max() - (old >> 1);
            if (too_many) return;
            if ((old & k_waited_for) != 0) return core::settle(*this, line, k);
            // ORD(semaphore): release; pairs with the acquires in take.
            if (state_.compare_exchange_weak(old, old + k * 2, std::memory_order_release,
                                             std::memory_order_relaxed))
                return;
        }
    });
    if (too_many) throw panic("sync: semaphore released too often");
}

void semaphore::destroy_slow(const char* what) const { sync::check_nobody_waits(&state_, what); }

}  // namespace pirn
