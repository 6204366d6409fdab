// SPDX-License-Identifier: MIT
// Signals: what the runtime handles while a run is on, and the stack it handles them on.
#pragma once

namespace pirn::rt {

struct m;

// Installs the handlers for faults (stack overflow by name) and SIGPIPE; restores what was there.
void install_signal_handlers();
void restore_signal_handlers();

// Gives the calling M's thread an alternate signal stack, and takes it back.
void open_signal_stack(m* mp);
void close_signal_stack(m* mp);

}  // namespace pirn::rt
