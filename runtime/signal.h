// SPDX-License-Identifier: MIT
// Signals: what the runtime handles while a run is on, and the stack it handles them on.
#pragma once

namespace pirn::rt {

struct m;

// Installs the handlers for faults (stack overflow by name) and SIGPIPE; restores what was there.
void install_signal_handlers();
void restore_signal_handlers();

// The calling M's thread has the M's signal stack from here on, and the one it had before.
void open_signal_stack(m* mp);
void close_signal_stack(m* mp);
void free_signal_stack(m* mp);

}  // namespace pirn::rt
