// SPDX-License-Identifier: MIT
// How many timers wait, for tests that compare before and after.
#pragma once

#include <atomic>
#include <cstddef>

#include "runtime/sched.h"

namespace pirn::test {

// In the heaps of all Ps of the run.
inline std::size_t pending_timers() {
    const rt::sched_ref run;
    std::size_t n = 0;
    for (auto& slot : run.get()->ps) {
        rt::p* pp = slot.load(std::memory_order_acquire);
        if (pp == nullptr) break;
        const rt::lock_guard hold(pp->timers.mu);
        n += pp->timers.size;
    }
    return n;
}

}  // namespace pirn::test
