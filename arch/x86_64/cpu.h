// SPDX-License-Identifier: MIT
// x86-64: a polite spin and a cheap time stamp.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace pirn::arch {

// Tells the core that this is a spin loop.
inline void pause() { __builtin_ia32_pause(); }

// A counter that rises at a constant rate on every core; the unit is the CPU's own.
inline std::uint64_t cycles() { return __builtin_ia32_rdtsc(); }

// The stack pointer of what a signal interrupted.
inline const void* interrupted_sp(const void* context) {
    return reinterpret_cast<const void*>(
        static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RSP]);
}

}  // namespace pirn::arch
