// SPDX-License-Identifier: MIT
// The report of a stack overflow.
#pragma once

#include "stack/stack.h"

namespace pirn::stack {

// True when a fault at `address` with the stack pointer at `sp` is an overflow of `b`: the address
// lies in the guard below it, or a frame larger than the guard has taken sp past the guard.
bool overflows(const block& b, const void* address, const void* sp);

// Prints who overflowed which stack and how to get a larger one; the runtime's hook adds the
// goroutine's identity. Runs on a signal stack; allocates nothing. Ends the process with status 2.
[[noreturn]] void report_overflow(const block& b);

// Called by report_overflow after its first line, to name the goroutine that has the block.
void set_overflow_hook(void (*hook)(const block&));

}  // namespace pirn::stack
