// SPDX-License-Identifier: MIT
// On which CPU an M that is woken goes on: not on its waker's, if there are others.
//
// The kernel likes to put a woken thread where it last ran. Where that is the waker's CPU, and the
// other CPUs have anything to do at all, it stays behind the waker, which computes on: the wakeup
// takes milliseconds. So the waker's CPU is taken out of such an M's mask for the time of the
// wakeup; the M puts it back first thing. Two system calls on each side, and only in that case.
//
// Rejected: an M for each CPU that never leaves it (other processes keep it waiting there while its
// neighbour idles); short time slices (the waker's is not over).
#pragma once

#include <sched.h>

namespace pirn::rt {

struct m;

class placement {
  public:
    // By the M: it is about to sleep, and has been woken.
    void before_sleep() { slept_on_ = ::sched_getcpu(); }
    void after_sleep() {
        if (kept_off_) [[unlikely]]
            restore();
    }
    // By the one that wakes the thread `tid`, before it does.
    void before_wake(int tid) {
        if (slept_on_ == ::sched_getcpu()) keep_off(tid);
    }

  private:
    void keep_off(int tid);
    void restore();

    int slept_on_ = -1;
    bool kept_off_ = false;   // `mask` is to be put back
    cpu_set_t mask_;
};

}  // namespace pirn::rt
