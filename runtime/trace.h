// SPDX-License-Identifier: MIT
// PIRN_DEBUG=schedtrace=1000,scheddetail=1: the scheduler's state as text, every so many ms.
#pragma once

#include <cstdint>

namespace pirn::rt {

struct sched;

// Where the trace of a run is; owned by whoever calls trace_sched.
struct trace_state {
    std::int64_t started_ns = 0;
    std::int64_t every_ns = 0;
    std::int64_t due_ns = 0;
    bool detailed = false;
};

// Prints what is due to standard error and returns when the next is; k_never_ns while it is off.
// One caller at a time, on a thread that holds no lock; the first call of a run starts its time.
std::int64_t trace_sched(sched* s, std::int64_t now_ns);

}  // namespace pirn::rt
