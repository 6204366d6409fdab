// SPDX-License-Identifier: MIT
// PIRN_DEBUG=stackstat=1: how deep the stacks of the goroutines of each entry function have become.
#pragma once

#include "runtime/g.h"

namespace pirn::rt {

// Whether it is on; set at the start of a run.
extern bool stackstat_on;
void start_stackstat();
// A block is about to be run on for the first time, or again: paints it.
void stackstat_begin(g* gp);
// The goroutine has ended: measures, and keeps the most for its entry function. Not on its stack.
void stackstat_end(g* gp);
// At the end of a run, by the last thread: a line for each entry function, the deepest first.
void report_stackstat();

}  // namespace pirn::rt
