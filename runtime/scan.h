// SPDX-License-Identifier: MIT
// The scan bit: while a dump walks the stack of a goroutine that does not run, nobody runs it.
//
// The protocol ORD(scan). Who is about to run a goroutine changes its status and then looks whether
// a scan is on; who scans says whose stack it walks and then reads the status. Either the first
// waits, or the second leaves the stack alone. So that the first, which is every switch, needs no
// fence, a scan begins with a membarrier: whoever changed a status without having seen it is done.
#pragma once

#include "runtime/g.h"

namespace pirn::rt {

namespace detail_scan {
inline base::atomic<bool> on{false};
void wait_until_scanned(const g* gp);
}  // namespace detail_scan

// On the way to a goroutine whose status says already that it runs.
[[gnu::always_inline]] inline void wait_for_scan(const g* gp) {
    asm volatile("" ::: "memory");
    if (detail_scan::on.load(std::memory_order_relaxed)) [[unlikely]]
        detail_scan::wait_until_scanned(gp);
}

// A scan, one at a time in the process: a second one claims nothing. Its thread does not give way.
class scan {
  public:
    scan();
    ~scan();
    scan(const scan&) = delete;
    scan& operator=(const scan&) = delete;

    // Whether the goroutine is parked or queued, and does not run until release.
    bool claim(const g* gp);
    void release();

  private:
    no_preemption stays_;
    bool mine_;
};

}  // namespace pirn::rt
