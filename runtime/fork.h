// SPDX-License-Identifier: MIT
// fork: the child of a process with a run has no runtime.
#pragma once

namespace pirn::rt {

// Sees to it that every fork from here on does what fork.cc says. May be called again.
void watch_forks();

// The caller wanted another goroutine to run, in the child of a fork where there is none: fatal.
[[noreturn]] void report_no_runtime();

// What each part forgets in the child: locks that other threads held, and what the run owned.
// Nothing is given back. On the child's only thread.
void forget_run();            // init.cc
void forget_records();        // records.cc
void forget_sleepers();       // sema.cc
void forget_poller();         // netpoll_epoll.cc
void forget_io();             // io.cc
void forget_local_lock();     // locals.cc
void forget_aging();          // aging.cc

}  // namespace pirn::rt
