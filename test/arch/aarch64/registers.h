// SPDX-License-Identifier: MIT
// aarch64: what the tests of a switch need to say about registers.
#pragma once

#include <sys/auxv.h>
#ifdef __ARM_FEATURE_SVE
#include <arm_sve.h>
#endif

#include <cstdint>
#include <cstring>

#include "test/arch/subject.h"

namespace arch_test {

// Each hide() passes a value through a register of its kind, after which the optimiser knows
// nothing about it.
ARCH_TEST_INLINE void hide_integer(std::uint64_t& v) {
    asm volatile("" : "+r"(v));
}
template <class T>
ARCH_TEST_INLINE void hide_float(T& v) {
    asm volatile("" : "+w"(v));
}
ARCH_TEST_INLINE void hide_extended(long double& v) {
    asm volatile("" : "+w"(v));
}

ARCH_TEST_INLINE const void* stack_pointer() {
    const void* sp;
    asm volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

ARCH_TEST_INLINE const void* frame_register() {
    const void* fp;
    asm volatile("mov %0, x29" : "=r"(fp));
    return fp;
}

ARCH_TEST_INLINE const void* program_counter() {
    const void* pc;
    asm volatile("adr %0, 0f\n0:" : "=r"(pc));
    return pc;
}

// The code address in a saved return address, which may be signed.
ARCH_TEST_INLINE const void* plain_address(const void* saved) {
    register const void* address asm("x30") = saved;
    asm volatile("hint 7" : "+r"(address));  // xpaclri
    return address;
}

// Whether the wrapper's last instruction, ldp x29, x19, [sp], #16, ends at pc.
ARCH_TEST_INLINE bool ends_a_switch(const void* pc) {
    const std::uint32_t last = 0xa8c14ffd;
    return std::memcmp(static_cast<const char*>(pc) - sizeof last, &last, sizeof last) == 0;
}

// Overwrites every register that is not the stack's or the frame's.
ARCH_TEST_INLINE void trash_registers() {
    asm volatile(
        "movz x0, #0xc0de\n\tmovk x0, #0x5a17, lsl #16\n\tmovk x0, #0xc0de, lsl #32\n\t"
        ".irp n, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
        "23, 24, 25, 26, 27, 28, 30\n\tmov x\\n, x0\n\t.endr\n\t"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
        "23, 24, 25, 26, 27, 28, 29, 30, 31\n\tdup v\\n\\().2d, x0\n\t.endr\n\t"
        :
        :
        : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
          "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",
          "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
          "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
          "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "cc");
#ifdef __ARM_FEATURE_SVE
    asm volatile(
        "mov x0, #0x5a5a\n\t"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
        "23, 24, 25, 26, 27, 28, 29, 30, 31\n\tdup z\\n\\().d, x0\n\t.endr\n\t"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\tpfalse p\\n\\().b\n\t"
        ".endr\n\t"
        "wrffr p0.b\n\t"
        :
        :
        : "x0", "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12",
          "p13", "p14", "p15", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
          "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",
          "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory");
#endif
}

#ifdef __ARM_FEATURE_SVE
// N scalable vectors and predicates, live across go(). Returns how many were changed.
template <int N, class Go>
ARCH_TEST_INLINE long hold_sve(std::uint64_t seed, Go&& go) {
    const svbool_t all = svptrue_b64();
    const std::uint64_t word = seed * (2 * N + 1);
    svuint64_t v = svindex_u64(word, 3);
    svbool_t some = svwhilelt_b64_u64(0, 1 + word % 2);  // one lane or two
    asm volatile("" : "+w"(v));
    asm volatile("" : "+Upa"(some));
    long wrong = 0;
    if constexpr (N > 0) {
        wrong = hold_sve<N - 1>(seed, go);
    } else {
        go();
    }
    asm volatile("" : "+w"(v));
    asm volatile("" : "+Upa"(some));
    // The equal lanes are counted, so that a lost predicate does not hide a lost vector.
    wrong += svcntp_b64(all, svcmpeq_u64(all, v, svindex_u64(word, 3))) != svcntd();
    return wrong + (svcntp_b64(all, some) != 1 + word % 2);
}
#endif

// Values of the kinds that only this CPU has, live across go(). Returns how many were changed.
template <class Go>
ARCH_TEST_INLINE long hold_cpu_kinds([[maybe_unused]] std::uint64_t seed, Go&& go) {
#ifdef __ARM_FEATURE_SVE
    return hold_sve<33>(seed, go);
#else
    go();
    return 0;
#endif
}

// Whether this machine can run a subject that was compiled for these features.
ARCH_TEST_INLINE bool can_run() {
#ifdef __ARM_FEATURE_SVE
    return (getauxval(AT_HWCAP) & HWCAP_SVE) != 0;
#else
    return true;
#endif
}

}  // namespace arch_test
