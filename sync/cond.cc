// SPDX-License-Identifier: MIT
// cond: a line in the parking lot.
//
// A waiter takes its place in line, unlocks the lock, and sleeps unless the place has been taken
// meanwhile. So a notify finds all that unlocked the lock before it, in the order of their waits,
// and the one that is notified never looks at the object again, which may be gone. Go's notifyList
// draws a ticket before the unlock, and compares it with the object's count afterwards.
#include <pirn/cond.h>

#include "runtime/sema.h"
#include "sync/destroyed.h"

namespace pirn {

bool cond::park(void (*unlock)(void*), void* arg, const detail::wait_end& end) {
    rt::sema_place place(
        &waited_for_,
        [](void* word) {
            // Relaxed: see notify_one.
            static_cast<detail::word<std::uint32_t>*>(word)->store(1, std::memory_order_relaxed);
        },
        &waited_for_);
    {
        const rt::no_preemption until_it_sleeps;
        unlock(arg);
    }
    return place.sleep(rt::wait_reason::cond_wait, end) != rt::k_timed_out;
}

void cond::notify_slow(bool all) {
    rt::sema_visit(&waited_for_, [this, all](rt::sema_line& line) {
        while (rt::sleeper* s = line.first()) {
            line.take(s, 0);
            if (!all) break;
        }
        // Relaxed: under the bucket's lock.
        if (line.empty()) waited_for_.store(0, std::memory_order_relaxed);
    });
}

void cond::destroy_slow() const { sync::check_nobody_waits(&waited_for_, "cond"); }

}  // namespace pirn
