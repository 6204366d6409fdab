// SPDX-License-Identifier: MIT
// future: a word that says whether the result is there and whether somebody waits for it.
//
// It belongs to state that both sides hold, so it outlives them both. Who waits sets `awaited`
// under the lock of its bucket, unless it finds `ready`; who completes sets `ready` and wakes all
// where it found `awaited`. One of the two comes first, and is seen by the other. A waiter that
// left at its deadline costs one look into an empty queue.
#include <pirn/future.h>

#include "runtime/sema.h"

namespace pirn::detail {
namespace {

constexpr std::uint32_t k_ready = 1, k_awaited = 2;

bool announce(void* arg) {
    auto* core = static_cast<future_core*>(arg);
    // ORD(future): acquire; pairs with the addition in complete.
    std::uint32_t old = core->state.load(std::memory_order_acquire);
    while ((old & k_ready) == 0) {
        // ORD(future): acquire, as above.
        if (core->state.compare_exchange_weak(old, old | k_awaited, std::memory_order_acquire,
                                              std::memory_order_acquire))
            return true;
    }
    return false;
}

}  // namespace

bool future_core::wait(const wait_end& end) {
    // ORD(future): acquire; pairs with the addition in complete.
    if ((state.load(std::memory_order_acquire) & k_ready) != 0) return true;
    return rt::sema_park(&state, announce, this, false, rt::wait_reason::semaphore, 0, end) !=
           rt::k_timed_out;
}

void future_core::complete() noexcept {
    // ORD(future): release; the result. Pairs with the acquires in wait and announce.
    if ((state.fetch_add(k_ready, std::memory_order_release) & k_awaited) != 0)
        rt::sema_wake_all(&state, 0);
}

}  // namespace pirn::detail
