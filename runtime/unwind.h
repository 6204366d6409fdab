// SPDX-License-Identifier: MIT
// Uncaught exceptions, std::terminate and goexit on goroutines.
#pragma once

namespace pirn::rt {

// The personality's hook and the terminate handler, for the time of a run.
void install_unwind_hooks();
void restore_unwind_hooks();

}  // namespace pirn::rt
