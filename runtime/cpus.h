// SPDX-License-Identifier: MIT
// How many CPUs the process may use.
#pragma once

namespace pirn::rt {

// The affinity mask's count when first asked.
int affinity_cpus();
// The default number of Ps: PIRN_MAXPROCS, else the smaller of the affinity mask's count and the
// cgroup's CPU quota rounded up. PIRN_MAXPROCS set: no file is read.
int default_procs();

}  // namespace pirn::rt
