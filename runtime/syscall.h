// SPDX-License-Identifier: MIT
// What gates need of the scheduler: blocking regions, and goroutines bound to their thread.
#pragma once

#include <pirn/runtime.h>

namespace pirn::rt {

struct g;

using detail::blocking_region;

// Null on g0, on foreign threads and within a blocking region.
g* current_goroutine();
// The calling goroutine runs on its present thread, as with lock_os_thread; counted.
void bind_thread();
void unbind_thread();

}  // namespace pirn::rt
