// SPDX-License-Identifier: MIT
// aarch64: values in every register, for so many turns of a loop that calls nothing.
#pragma once

#include <cstdint>

// What the pass must know: the stack that the assembly itself uses.
#ifdef PIRN_SPLIT
#define STRESS_NEED ".pirn_need 32\n\t"
#else
#define STRESS_NEED ""
#endif

namespace stress {

struct register_file {
    std::uint64_t general[32];  // of x0 ... x30, but for x17, which counts, and x18; then the flags
    alignas(64) unsigned char vector[32][16];
};

inline constexpr int k_generals = 31;

inline void prepare(register_file& file) { file.general[31] = 0; }

// Of a comparison of equals: zero, and no borrow.
inline bool flags_kept(const register_file& file) { return file.general[31] == 0x60000000; }

// Loads all from the file, spins, and stores all.
[[gnu::noinline]] inline void hold_every_register(register_file* in, std::uint64_t turns) {
    register register_file* file asm("x0") = in;
    register std::uint64_t spins asm("x1") = turns;
    asm volatile(
        STRESS_NEED
        "sub sp, sp, #32\n\t"
        "stp x29, x0, [sp]\n\t"
        "mov x17, x1\n\t"
        "add x1, x0, #256\n\t"
        "ldp q0, q1, [x1, #0]\n\t"
        "ldp q2, q3, [x1, #32]\n\t"
        "ldp q4, q5, [x1, #64]\n\t"
        "ldp q6, q7, [x1, #96]\n\t"
        "ldp q8, q9, [x1, #128]\n\t"
        "ldp q10, q11, [x1, #160]\n\t"
        "ldp q12, q13, [x1, #192]\n\t"
        "ldp q14, q15, [x1, #224]\n\t"
        "ldp q16, q17, [x1, #256]\n\t"
        "ldp q18, q19, [x1, #288]\n\t"
        "ldp q20, q21, [x1, #320]\n\t"
        "ldp q22, q23, [x1, #352]\n\t"
        "ldp q24, q25, [x1, #384]\n\t"
        "ldp q26, q27, [x1, #416]\n\t"
        "ldp q28, q29, [x1, #448]\n\t"
        "ldp q30, q31, [x1, #480]\n\t"
        "ldp x2, x3, [x0, #16]\n\t"
        "ldp x4, x5, [x0, #32]\n\t"
        "ldp x6, x7, [x0, #48]\n\t"
        "ldp x8, x9, [x0, #64]\n\t"
        "ldp x10, x11, [x0, #80]\n\t"
        "ldp x12, x13, [x0, #96]\n\t"
        "ldp x14, x15, [x0, #112]\n\t"
        "ldr x16, [x0, #128]\n\t"
        "ldp x19, x20, [x0, #152]\n\t"
        "ldp x21, x22, [x0, #168]\n\t"
        "ldp x23, x24, [x0, #184]\n\t"
        "ldp x25, x26, [x0, #200]\n\t"
        "ldp x27, x28, [x0, #216]\n\t"
        "ldp x29, x30, [x0, #232]\n\t"
        "ldp x0, x1, [x0]\n\t"
        "cmp xzr, xzr\n"
        "1:\n\t"
        "sub x17, x17, #1\n\t"  // leaves the flags alone
        "cbnz x17, 1b\n\t"
        "stp x0, x1, [sp, #16]\n\t"
        "ldr x0, [sp, #8]\n\t"
        "stp x2, x3, [x0, #16]\n\t"
        "stp x4, x5, [x0, #32]\n\t"
        "stp x6, x7, [x0, #48]\n\t"
        "stp x8, x9, [x0, #64]\n\t"
        "stp x10, x11, [x0, #80]\n\t"
        "stp x12, x13, [x0, #96]\n\t"
        "stp x14, x15, [x0, #112]\n\t"
        "str x16, [x0, #128]\n\t"
        "stp x19, x20, [x0, #152]\n\t"
        "stp x21, x22, [x0, #168]\n\t"
        "stp x23, x24, [x0, #184]\n\t"
        "stp x25, x26, [x0, #200]\n\t"
        "stp x27, x28, [x0, #216]\n\t"
        "stp x29, x30, [x0, #232]\n\t"
        "mrs x2, nzcv\n\t"
        "str x2, [x0, #248]\n\t"
        "ldp x2, x3, [sp, #16]\n\t"
        "stp x2, x3, [x0]\n\t"
        "add x1, x0, #256\n\t"
        "stp q0, q1, [x1, #0]\n\t"
        "stp q2, q3, [x1, #32]\n\t"
        "stp q4, q5, [x1, #64]\n\t"
        "stp q6, q7, [x1, #96]\n\t"
        "stp q8, q9, [x1, #128]\n\t"
        "stp q10, q11, [x1, #160]\n\t"
        "stp q12, q13, [x1, #192]\n\t"
        "stp q14, q15, [x1, #224]\n\t"
        "stp q16, q17, [x1, #256]\n\t"
        "stp q18, q19, [x1, #288]\n\t"
        "stp q20, q21, [x1, #320]\n\t"
        "stp q22, q23, [x1, #352]\n\t"
        "stp q24, q25, [x1, #384]\n\t"
        "stp q26, q27, [x1, #416]\n\t"
        "stp q28, q29, [x1, #448]\n\t"
        "stp q30, q31, [x1, #480]\n\t"
        "ldr x29, [sp]\n\t"
        "add sp, sp, #32"
        : "+r"(file), "+r"(spins)
        :
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
          "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30",
          "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",
          "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
          "v27", "v28", "v29", "v30", "v31", "memory", "cc");
}

}  // namespace stress
