// SPDX-License-Identifier: MIT
// Checks that stay on in release builds, debug assertions, and the fatal report they end in.
#pragma once

namespace pirn::base {

// Prints "fatal error: MESSAGE", then what the fatal hook adds (the runtime: a dump of every
// goroutine), and ends the process with status 2. Callable from any thread and any stack.
[[noreturn]] void fatal(const char* message);

// As fatal, with printf's formatting for the message.
[[noreturn]] [[gnu::format(printf, 1, 2)]] void fatalf(const char* format, ...);

// For a report that has already been printed: ends the process with status 2, or by abort where
// PIRN_TRACEBACK=crash asks for a core.
[[noreturn]] void die();

// Prints to standard error with one write per call, without allocating. For reports.
[[gnu::format(printf, 1, 2)]] void report(const char* format, ...);

// Called by fatal after its message and before the process ends. One hook; nullptr for none.
void set_fatal_hook(void (*hook)());

[[noreturn]] void check_failed(const char* condition, const char* file, int line);

}  // namespace pirn::base

// A condition whose failure is our own bug, always checked: for what costs no more than a compare.
#define PIRN_CHECK(cond)                                                          \
    do {                                                                          \
        if (!(cond)) [[unlikely]]                                                 \
            ::pirn::base::check_failed(#cond, __FILE__, __LINE__);                \
    } while (false)

// The same for builds with -Dchecks=true; not evaluated in others.
#ifdef PIRN_CHECKS
#define PIRN_ASSERT(cond) PIRN_CHECK(cond)
#else
#define PIRN_ASSERT(cond)             \
    do {                              \
        if (false) (void)(cond);      \
    } while (false)
#endif
