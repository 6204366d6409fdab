// SPDX-License-Identifier: MIT
// The contract that each CPU folder meets. A port is one folder with these five files:
//
//   regs.h     offsets of `context` and of the first frame, for assembly and C++
//   switch.S   __pirn_switch, __pirn_jump, __pirn_entry, __pirn_call_on,
//              __pirn_call_as_if_at
//   switch.h   switch_to and jump_to: the inline wrappers
//   frame.h    make_context: the picture of a first frame; resume_point_of: where a parked stack
//              goes on
//   cpu.h      pause, cycles, interrupted_sp
//
// and nothing outside arch/ asks which CPU it is. The folder is chosen by the build.
#pragma once

#include <cstddef>
#include <cstdint>

struct _Unwind_Exception;

namespace pirn::arch {

// Where a stack that is not running goes on. Written by the switch that leaves it.
struct context {
    void* pc = nullptr;
    void* sp = nullptr;
};

// Called in the search phase of an exception that no frame of a goroutine handles, on top of the
// thrower's intact frames. May end the process; if it returns, the unwinder gives up.
using uncaught_hook = void (*)(_Unwind_Exception*);
void set_uncaught_hook(uncaught_hook hook);

// Registers of a parked stack as they will be when its switch_to has returned: the point from
// which a debugger or a dump can unwind it with the compiler's own CFI.
struct resume_point {
    const void* pc;
    const void* sp;
    const void* fp;
};

extern "C" {
// Runs fn(arg) on the stack that ends at `top` (16-aligned) and returns its result on the
// caller's stack. The unwinder walks through it.
void* __pirn_call_on(void* top, void* (*fn)(void*), void* arg);
// Calls fn(arg) on the caller's stack; an unwinder started inside fn goes on at *at.
void* __pirn_call_as_if_at(const resume_point* at, void* (*fn)(void*), void* arg);
}

inline void* call_on(void* top, void* (*fn)(void*), void* arg) {
    return __pirn_call_on(top, fn, arg);
}
inline void* call_as_if_at(const resume_point* at, void* (*fn)(void*), void* arg) {
    return __pirn_call_as_if_at(at, fn, arg);
}

}  // namespace pirn::arch

#include "cpu.h"
#include "frame.h"
#include "regs.h"
#include "switch.h"

namespace pirn::arch {

static_assert(offsetof(context, pc) == PIRN_CONTEXT_PC);
static_assert(offsetof(context, sp) == PIRN_CONTEXT_SP);
static_assert(sizeof(context) == PIRN_CONTEXT_SIZE);
static_assert(offsetof(resume_point, pc) == PIRN_RESUME_POINT_PC);
static_assert(offsetof(resume_point, sp) == PIRN_RESUME_POINT_SP);
static_assert(offsetof(resume_point, fp) == PIRN_RESUME_POINT_FP);

}  // namespace pirn::arch
