// SPDX-License-Identifier: MIT
// What the checks know of a subject: code that switches, compiled once for each set of flags.
//
// switch_to is a contract with the compiler, so the same sources (switching.cc, unwinding.cc) are
// compiled many times and each copy enrolls itself here. The checks are compiled once.
//
// A subject's build renames namespace pirn (-Dpirn=pirn_NAME), so that the linker never merges an
// inline function of one set of flags with that of another. For the same reason subjects use
// nothing of the C++ library that is not inlined: a copy made for a newer CPU could be the one that
// all of them get.
#pragma once

#include <cstddef>
#include <cstdint>

// A function that the optimiser neither looks into nor copies.
#ifdef __clang__
#define ARCH_TEST_OPAQUE [[gnu::noinline]]
#else
#define ARCH_TEST_OPAQUE [[gnu::noipa]]
#endif
#define ARCH_TEST_INLINE [[gnu::always_inline]] inline

namespace arch_test {

// Memory for a context; the page below it is inaccessible.
struct stack {
    void* base;
    void* top;
};

// What came of a run of switches.
struct tally {
    long switches = 0;
    long wrong = 0;                     // values that a switch changed, and words that went astray
    const char* first_wrong = nullptr;  // of which kind the first one was
};

// Words as both sides of a switch saw them.
struct words {
    void* at_first_entry;
    void* inside[3];
    void* outside[3];
};

// A call on another stack, from both sides.
struct call {
    void* result;
    void* argument;
    const void* sp_at_call;  // before the call instruction, or at entry where it pushes nothing
    const void* sp_of_first_entry;
    const void* some_local;  // an address inside the function's frame
};

// One switching subject. Each function is self-contained; `s` are stacks for its contexts.
struct switching {
    const char* name;
    tally (*two_contexts)(const stack* s, long switches);
    tally (*three_contexts)(const stack* s, long switches);
    tally (*cpu_kinds)(const stack* s, long switches);
    tally (*callee_saved)(const stack* s, long switches);
    tally (*odd_frames)(const stack* s, long switches);
    words (*hand_over)(const stack* s);
    long (*jumps)(const stack* s, long count);
    call (*call_on)(const stack* s);
};

// A backtrace as enclosing functions, innermost first.
struct trace {
    static constexpr int k_room = 64;
    const void* function[k_room];
    const void* sp[k_room];  // the stack pointer of each frame, from the unwinder only
    int depth = 0;
    int end = 0;  // what _Unwind_Backtrace returned
    bool fits = true;
};

// The functions that a backtrace should name, innermost first, without what lies above the first.
struct expected_frames {
    const void* function[8];
    int depth;
};

// A parked stack as seen from outside, and by its own function once it runs again.
struct parked {
    const void* function;
    const void* outside_pc;
    const void* outside_sp;
    const void* outside_fp;
    const void* inside_pc;
    const void* inside_sp;
    const void* inside_fp;
    bool after_the_wrapper;   // outside_pc is where the wrapper's last instruction ends
    trace by_frame_pointers;  // only where the subject keeps them
    trace by_unwinder;        // a backtrace taken as if at the parked function
    expected_frames chain;
    expected_frames unwound;
};

// What happened to the frames of a stack that was unwound to its end or died of an exception.
struct last_words {
    int destroyed = 0;              // destructors that ran
    const void* thrower = nullptr;  // the function that threw
    const void* caller = nullptr;   // and the one that called it
};

// One unwinding subject.
struct unwinding {
    const char* name;
    bool frame_pointers;
    // Takes a backtrace by `collect` in a context, in a context below call_on, or below call_on on
    // the caller's own stack.
    expected_frames (*backtrace)(const stack* s, void (*collect)(trace*), trace* out);
    expected_frames (*backtrace_call_on)(const stack* s, void (*collect)(trace*), trace* out);
    expected_frames (*backtrace_from_thread)(const stack* s, void (*collect)(trace*), trace* out);
    // The number of catches, of `times` times a nest of three, that saw what was thrown.
    long (*catches)(const stack* s, long times, long* destroyed);
    long (*catches_through_call_on)(const stack* s, long times, long* destroyed);
    // Does not come back unless the hook does something about it.
    void (*dies)(const stack* s, last_words* w);
    // A forced unwind of a context to its first frame; returns the last frame's function.
    const void* (*forced)(const stack* s, last_words* w);
    parked (*park)(const stack* s, void (*collect)(trace*));
};

// Called by static constructors of the subjects.
bool enroll(const switching& s);
bool enroll(const unwinding& u);

}  // namespace arch_test
