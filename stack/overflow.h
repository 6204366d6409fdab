// SPDX-License-Identifier: MIT
// The reports of a stack that is full.
#pragma once

#include "stack/stack.h"

namespace pirn::stack {

// True when a fault at `address` with the stack pointer at `sp` is an overflow of the stack whose
// lowest usable byte is `lo`: the address lies in the guard below it, or a frame larger than the
// guard has taken sp past the guard.
bool overflows(const std::byte* lo, const void* address, const void* sp);

// Prints who overflowed which stack and how to get a larger one; the runtime's hook adds the
// goroutine's identity. Runs on a signal stack; allocates nothing. Ends the process with status 2.
[[noreturn]] void report_overflow(const block& b);

// As report_overflow, for a stack that may not grow by `bytes` more. Runs on the thread's stack.
[[noreturn]] void report_exceeded(const block& b, std::size_t bytes);

// As report_overflow, for an alloca or a variable-length array that goes `bytes` past the end.
[[noreturn]] void report_alloca(const block& b, std::size_t bytes);

// Called by the reports after their first lines, to name the goroutine that has the block.
void set_overflow_hook(void (*hook)(const block&));

}  // namespace pirn::stack
