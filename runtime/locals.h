// SPDX-License-Identifier: MIT
// The values of goroutine_local: who ends a goroutine ends them.
#pragma once

#include "runtime/g.h"

namespace pirn::rt {

// Destroys the calling goroutine's values, the last made first, and those that their destructors
// make. On its stack, while it still is a goroutine like any other: a destructor may park.
void end_locals();

}  // namespace pirn::rt
