// SPDX-License-Identifier: MIT
// Signals: what the runtime handles while a run is on, and the stack it handles them on.
#pragma once

#include <csignal>

namespace pirn::rt {

struct m;

// Installs the handlers for faults (stack overflow by name) and SIGPIPE; restores what was there.
void install_signal_handlers();
void restore_signal_handlers();

// Takes a signal, one at a time, for the run time: the kernel calls `ours` from here on. What the
// program has asked for, and asks for meanwhile, is noted and shown to it as if it were in force;
// `ours` passes on what is not meant for it. Give back to have it in force again.
using signal_handler = void (*)(int, siginfo_t*, void*);
void take_signal(int number, signal_handler ours);
void give_signal_back();
void pass_to_program(int number, siginfo_t* info, void* context);

// The calling M's thread has the M's signal stack from here on, and the one it had before.
void open_signal_stack(m* mp);
void close_signal_stack(m* mp);
void free_signal_stack(m* mp);

// Fatal where the caller, the thread of that M, runs a signal handler: it has interrupted the
// scheduler perhaps, and must neither start goroutines nor wait. `what` it was about to do.
void refuse_in_handler(const m* mp, const char* what);

}  // namespace pirn::rt
