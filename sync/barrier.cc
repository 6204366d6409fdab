// SPDX-License-Identifier: MIT
// barrier: a counter, and waiters in the parking lot. The last arrival of a phase is alone: nobody
// else arrives before the next one. It begins that under the lock of the waiters' bucket and takes
// all of them, after which the object may be gone.
#include <pirn/barrier.h>

#include <cstdint>

#include <pirn/runtime.h>

#include "runtime/sema.h"
#include "sync/destroyed.h"

namespace pirn::detail {
namespace {

constexpr int k_phase_shift = 32;

std::uint32_t phase_of(std::uint64_t state) {
    return static_cast<std::uint32_t>(state >> k_phase_shift);
}
std::uint32_t pending_of(std::uint64_t state) { return static_cast<std::uint32_t>(state); }

struct waiting {
    const word<std::uint64_t>& state;
    std::uint32_t phase;

    bool is_over() const {
        // ORD(barrier): acquire; pairs with the release in complete.
        return phase_of(state.load(std::memory_order_acquire)) != phase;
    }
};

}  // namespace

void barrier_core::throw_misuse() { throw panic("sync: misuse of barrier"); }

barrier_core::~barrier_core() { sync::check_nobody_waits(&state_, "barrier"); }

barrier_core::arrival barrier_core::arrive(std::ptrdiff_t n) {
    std::uint64_t old = state_.load(std::memory_order_relaxed);
    for (;;) {
        const std::uint32_t pending = pending_of(old);
        if (n < 0 || n > pending) throw_misuse();
        const auto arrived = static_cast<std::uint32_t>(n);
        // ORD(barrier): acq_rel; pairs with itself: the last one has what the others did before.
        if (state_.compare_exchange_weak(old, old - arrived, std::memory_order_acq_rel,
                                         std::memory_order_relaxed))
            return {phase_of(old), arrived != 0 && arrived == pending};
    }
}

// Relaxed: the arrival that follows orders it before the end of the phase.
void barrier_core::drop_one() { expected_.fetch_sub(1, std::memory_order_relaxed); }

void barrier_core::complete(std::uint32_t phase) {
    rt::sema_visit(&state_, [&](rt::sema_line& line) {
        const std::uint64_t next = std::uint64_t{phase + 1} << k_phase_shift;
        // ORD(barrier): release; pairs with the acquires in waiting and arrive.
        state_.store(next | expected_.load(std::memory_order_relaxed), std::memory_order_release);
        while (rt::sleeper* s = line.first()) line.take(s, 0);
    });
}

bool barrier_core::wait(std::uint32_t phase, const wait_end& end) {
    waiting w{state_, phase};
    if (w.is_over()) return true;
    const auto still_waits = [](void* arg) { return !static_cast<waiting*>(arg)->is_over(); };
    return rt::sema_park(&state_, still_waits, &w, false, rt::wait_reason::wait_group_wait, 0,
                         end) != rt::k_timed_out;
}

}  // namespace pirn::detail
