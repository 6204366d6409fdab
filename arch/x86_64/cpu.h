// SPDX-License-Identifier: MIT
// x86-64: a polite spin, a cheap time stamp, and what C++ cannot say of growing stacks.
#pragma once

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "regs.h"

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

inline const void* interrupted_pc(const void* context) {
    return reinterpret_cast<const void*>(
        static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
}

// The limit word of the calling thread. No call may come between setting it and going to the stack
// that it belongs to.
[[gnu::always_inline]] inline void set_limit(std::uintptr_t limit) {
    asm volatile("movq %0, %%fs:%c1" : : "r"(limit), "i"(PIRN_LIMIT_WORD) : "memory");
}
[[gnu::always_inline]] inline std::uintptr_t limit() {
    std::uintptr_t value;
    asm volatile("movq %%fs:%c1, %0" : "=r"(value) : "i"(PIRN_LIMIT_WORD) : "memory");
    return value;
}

// Where that word of the calling thread lies.
inline std::uintptr_t* limit_address() {
    std::uintptr_t control_block;
    asm("movq %%fs:0, %0" : "=r"(control_block));
    return reinterpret_cast<std::uintptr_t*>(control_block + PIRN_LIMIT_WORD);
}

// Whether the kernel keeps a shadow stack for the calling thread, which no switch carries.
inline bool shadow_stack_is_on() {
    constexpr int k_arch_shstk_status = 0x5005;
    unsigned long features = 0;
    return ::syscall(SYS_arch_prctl, k_arch_shstk_status, &features) == 0 && (features & 1) != 0;
}

}  // namespace pirn::arch
