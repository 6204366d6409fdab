// SPDX-License-Identifier: MIT
// The masks that keep a woken M off its waker's CPU.
#include "runtime/placement.h"

#include "runtime/cpus.h"

namespace pirn::rt {

void placement::keep_off(int tid) {
    if (affinity_cpus() == 1) return;
    // Asked for each time: somebody else may have changed it. More CPUs than the mask has room for:
    // the call fails, and the kernel has its way.
    if (::sched_getaffinity(tid, sizeof mask_, &mask_) != 0) return;
    cpu_set_t others = mask_;
    CPU_CLR(slept_on_, &others);
    if (CPU_COUNT(&others) == 0 || CPU_COUNT(&others) == CPU_COUNT(&mask_)) return;
    kept_off_ = ::sched_setaffinity(tid, sizeof others, &others) == 0;
}

void placement::restore() {
    kept_off_ = false;
    ::sched_setaffinity(0, sizeof mask_, &mask_);
}

}  // namespace pirn::rt
