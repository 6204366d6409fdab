// SPDX-License-Identifier: MIT
// The floor of a context switch on aarch64: program counter and stack pointer change, nothing else.
//
// The limit contenders are built on it. It carries no word, keeps no unwind information and sets no
// end to a stack trace: what it leaves out is what the real switch is measured against. Its users
// are built with -fomit-frame-pointer, because a clobbered x29 is refused in a function that
// addresses its frame by it.
#pragma once

#include <cstddef>
#include <cstdint>

// A guarded page accepts a branch only at a landing pad.
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define BENCH_LANDING_PAD "hint #34\n"
#else
#define BENCH_LANDING_PAD ""
#endif

namespace bench {

struct bare_context {
    void* pc;
    void* sp;
};

// Saves where we are in *from and continues *to. Every register is declared lost, so the
// compiler keeps what it needs in the frame.
[[gnu::always_inline]] inline void bare_swap(bare_context* from, bare_context* to) {
    register bare_context* from_in_x0 asm("x0") = from;
    register bare_context* to_in_x1 asm("x1") = to;
    asm volatile(
        "adr x16, 1f\n\t"
        "mov x17, sp\n\t"
        "stp x16, x17, [x0]\n\t"
        "ldp x16, x17, [x1]\n\t"
        "mov sp, x17\n\t"
        "br x16\n"
        "1:\n\t" BENCH_LANDING_PAD
        : "+r"(from_in_x0), "+r"(to_in_x1)
        :
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
          "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28",
          "x29", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",
          "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24",
          "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc", "memory");
}

// Prepares *c so that the first swap to it enters entry(), which must never return.
inline void bare_make(bare_context* c, std::byte* stack, std::size_t size_bytes, void (*entry)()) {
    const auto top = reinterpret_cast<std::uintptr_t>(stack + size_bytes) & ~std::uintptr_t{15};
    c->pc = reinterpret_cast<void*>(entry);
    c->sp = reinterpret_cast<void*>(top);
}

}  // namespace bench
