// SPDX-License-Identifier: MIT
// once: a word, and waiters in the parking lot.
//
// The word goes from fresh to running to done. The first who has to wait makes it awaited, under
// the lock of its bucket; then it becomes done under that lock too, together with the wakeup. So
// the word says done last, and whoever has seen that may destroy the object: after it the address
// is only a key, and who comes to that key later is not mistaken for one of these waiters.
#include <pirn/once.h>

#include "runtime/sema.h"
#include "sync/destroyed.h"

namespace pirn {

static_assert(sizeof(once) <= 12);

// The functions under the bucket's lock, which may name the word's values.
struct once_access {
    static bool announce(void* arg) {
        auto* self = static_cast<once*>(arg);
        std::uint32_t old = once::k_running;
        // ORD(once): acquire on failure, for one that is done; pairs with the releases in end.
        return self->state_.compare_exchange(old, once::k_awaited, std::memory_order_relaxed,
                                             std::memory_order_acquire) ||
               old == once::k_awaited;
    }
    static bool finish(void* arg) {
        // ORD(once): release; what the function did. Pairs with the acquires in done and begin.
        static_cast<once*>(arg)->state_.store(once::k_done, std::memory_order_release);
        return true;
    }
};

bool once::begin() {
    std::uint32_t old = k_fresh;
    // ORD(once): acquire on failure, for one that is done; pairs with the releases in end.
    if (state_.compare_exchange(old, k_running, std::memory_order_relaxed,
                                std::memory_order_acquire))
        return true;
    if (old != k_done)
        rt::sema_park(&state_, once_access::announce, this, false, rt::wait_reason::mutex_lock);
    return false;
}

void once::end() noexcept {
    std::uint32_t old = k_running;
    // ORD(once): release; what the function did. Pairs with the acquires in done and begin.
    if (state_.compare_exchange(old, k_done, std::memory_order_release, std::memory_order_relaxed))
        return;
    rt::sema_wake_all(&state_, 0, once_access::finish, this);
}

void once::destroy_slow() const { sync::check_nobody_waits(&state_, "once"); }

}  // namespace pirn
