// SPDX-License-Identifier: MIT
// aarch64: a polite spin, a cheap time stamp, and what C++ cannot say of growing stacks.
#pragma once

#include <sys/prctl.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "regs.h"

namespace pirn::arch {

// Tells the core that this is a spin loop. isb rather than yield, which most cores treat as a nop:
// isb empties the pipeline, and so waits about as long as x86-64's pause.
inline void pause() { asm volatile("isb" : : : "memory"); }

// A counter that rises at a constant rate on every core; the unit is the CPU's own (cntfrq_el0).
inline std::uint64_t cycles() {
    std::uint64_t ticks;
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

// The stack pointer of what a signal interrupted.
inline const void* interrupted_sp(const void* context) {
    return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.sp);
}

inline const void* interrupted_pc(const void* context) {
    return reinterpret_cast<const void*>(static_cast<const ucontext_t*>(context)->uc_mcontext.pc);
}

// The limit word of the calling thread. No call may come between setting it and going to the stack
// that it belongs to.
[[gnu::always_inline]] inline void set_limit(std::uintptr_t limit) {
    std::uintptr_t tp;
    asm volatile("mrs %0, tpidr_el0\n\tstr %1, [%0, %2]"
                 : "=&r"(tp)
                 : "r"(limit), "i"(PIRN_LIMIT_WORD)
                 : "memory");
}
[[gnu::always_inline]] inline std::uintptr_t limit() {
    std::uintptr_t value;
    asm volatile("mrs %0, tpidr_el0\n\tldr %0, [%0, %1]"
                 : "=r"(value)
                 : "i"(PIRN_LIMIT_WORD)
                 : "memory");
    return value;
}

// Where that word of the calling thread lies.
inline std::uintptr_t* limit_address() {
    std::uintptr_t control_block;
    asm("mrs %0, tpidr_el0" : "=r"(control_block));
    return reinterpret_cast<std::uintptr_t*>(control_block + PIRN_LIMIT_WORD);
}

// Whether the kernel keeps a shadow stack for the calling thread, which no switch carries.
inline bool shadow_stack_is_on() {
    constexpr int k_get_shadow_stack_status = 74;
    unsigned long features = 0;
    return ::prctl(k_get_shadow_stack_status, &features, 0, 0, 0) == 0 && (features & 1) != 0;
}

}  // namespace pirn::arch
