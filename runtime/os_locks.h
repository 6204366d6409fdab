// SPDX-License-Identifier: MIT
// Debug builds say where a goroutine parks while it holds a lock of the operating system: whoever
// wants that lock keeps a thread waiting until the goroutine goes on, which may need that thread.
#pragma once

#include "runtime/park.h"

namespace pirn::rt {

struct g;
struct lock_holder;

// By the running goroutine, about to park, which holds one (g::os_locks); locks of the run time may
// be held. Null: the way it came here is known already. Else the M that it leaves calls
// report_lock_holder with it, on g0.
lock_holder* note_lock_holder(const g* gp, wait_reason reason);

// Prints the warning, unless the place has had one. It looks for names in files.
void report_lock_holder(lock_holder* h);

}  // namespace pirn::rt
