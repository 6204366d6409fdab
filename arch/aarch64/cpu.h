// SPDX-License-Identifier: MIT
// aarch64: a polite spin and a cheap time stamp.
#pragma once

#include <ucontext.h>

#include <cstdint>

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

}  // namespace pirn::arch
