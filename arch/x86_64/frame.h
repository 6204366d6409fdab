// SPDX-License-Identifier: MIT
// x86-64: the first frame of a new stack, and the registers of a parked one.
#pragma once

#include <cstdint>

#include "regs.h"

extern "C" void __pirn_entry();

namespace pirn::arch {

// Makes *c start entry(word) on the stack that ends at `top` (16-aligned); word is what the first
// switch hands over. entry must not return.
inline void make_context(context* c, void* top, void (*entry)(void*)) {
    char* sp = static_cast<char*>(top) - PIRN_FIRST_FRAME_BYTES;
    *reinterpret_cast<void (**)(void*)>(sp + PIRN_FIRST_FRAME_ENTRY) = entry;
    *reinterpret_cast<std::uint64_t*>(sp + 8) = 0;
    c->pc = reinterpret_cast<void*>(&__pirn_entry);
    c->sp = sp;
}

// For a stack parked by switch_to (not for one that never ran).
inline resume_point resume_point_of(const context& c) {
    const char* sp = static_cast<const char*>(c.sp);
    return {static_cast<const char*>(c.pc) + PIRN_RESUME_BYTES, sp + PIRN_PARKED_BYTES,
            *reinterpret_cast<void* const*>(sp + PIRN_PARKED_FP)};
}

}  // namespace pirn::arch
