// SPDX-License-Identifier: MIT
// x86-64: what the tests of a switch need to say about registers.
#pragma once

#include <mmintrin.h>
#ifdef __AVX512F__
#include <immintrin.h>
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
    asm volatile("" : "+x"(v));
}
ARCH_TEST_INLINE void hide_extended(long double& v) {
    asm volatile("" : "+t"(v));
}

ARCH_TEST_INLINE const void* stack_pointer() {
    const void* sp;
    asm volatile("movq %%rsp, %0" : "=r"(sp));
    return sp;
}

ARCH_TEST_INLINE const void* frame_register() {
    const void* fp;
    asm volatile("movq %%rbp, %0" : "=r"(fp));
    return fp;
}

ARCH_TEST_INLINE const void* program_counter() {
    const void* pc;
    asm volatile("leaq 0f(%%rip), %0\n0:" : "=r"(pc));
    return pc;
}

// The code address in a saved return address.
ARCH_TEST_INLINE const void* plain_address(const void* saved) {
    return saved;
}

// Whether the wrapper's last instruction, leaq 128(%rsp), %rsp, ends at pc.
ARCH_TEST_INLINE bool ends_a_switch(const void* pc) {
    static const unsigned char last[] = {0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0};
    return std::memcmp(static_cast<const char*>(pc) - sizeof last, last, sizeof last) == 0;
}

// Overwrites every register that is not the stack's or the frame's.
ARCH_TEST_INLINE void trash_registers() {
    asm volatile(
        "movabsq $0x5a17c0de5a17c0de, %%rax\n\t"
        "movq %%rax, %%rbx\n\tmovq %%rax, %%rcx\n\tmovq %%rax, %%rdx\n\t"
        "movq %%rax, %%rsi\n\tmovq %%rax, %%rdi\n\tmovq %%rax, %%r8\n\t"
        "movq %%rax, %%r9\n\tmovq %%rax, %%r10\n\tmovq %%rax, %%r11\n\t"
        "movq %%rax, %%r12\n\tmovq %%rax, %%r13\n\tmovq %%rax, %%r14\n\tmovq %%rax, %%r15\n\t"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n\tmovq %%rax, %%mm\\n\n\t.endr\n\t"
        "emms\n\t"  // what the x87 stack held is gone, and it is empty again
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15\n\t"
        "movq %%rax, %%xmm\\n\n\tpunpcklqdq %%xmm\\n, %%xmm\\n\n\t.endr\n\t"
        :
        :
        : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
          "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
          "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "mm0", "mm1", "mm2", "mm3", "mm4",
          "mm5", "mm6", "mm7", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
          "cc");
#ifdef __AVX512F__
    asm volatile(
        "movl $0x5a17c0de, %%eax\n\t"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7\n\tkmovw %%eax, %%k\\n\n\t.endr\n\t"
        ".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, "
        "23, 24, 25, 26, 27, 28, 29, 30, 31\n\tvpbroadcastd %%eax, %%zmm\\n\n\t.endr\n\t"
        :
        :
        : "rax", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "xmm0", "xmm1", "xmm2", "xmm3",
          "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
          "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
          "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
#endif
}

// N values of the kinds that only this CPU has, live across go(): MMX registers, and where they
// may be used 512-bit vectors and mask registers. Returns how many were changed.
template <int N, class Go>
ARCH_TEST_INLINE long hold_mmx(std::uint64_t seed, Go&& go) {
    __m64 v = _mm_cvtsi64_m64(static_cast<long long>(seed * (2 * N + 1)));
    asm volatile("" : "+y"(v));
    long wrong = 0;
    if constexpr (N > 0) {
        wrong = hold_mmx<N - 1>(seed, go);
    } else {
        go();
    }
    asm volatile("" : "+y"(v));
    return wrong + (static_cast<std::uint64_t>(_mm_cvtm64_si64(v)) != seed * (2 * N + 1));
}

#ifdef __AVX512F__
template <int N, class Go>
ARCH_TEST_INLINE long hold_avx512(std::uint64_t seed, Go&& go) {
    const auto word = static_cast<long long>(seed * (2 * N + 1));
    __m512i v = _mm512_set1_epi64(word);
    auto mask = static_cast<__mmask16>(word);
    asm volatile("" : "+v"(v));
    asm volatile("" : "+k"(mask));
    long wrong = 0;
    if constexpr (N > 0) {
        wrong = hold_avx512<N - 1>(seed, go);
    } else {
        go();
    }
    asm volatile("" : "+v"(v));
    asm volatile("" : "+k"(mask));
    wrong += _mm512_cmpneq_epi64_mask(v, _mm512_set1_epi64(word)) != 0;
    return wrong + (mask != static_cast<__mmask16>(word));
}
#endif

template <class Go>
ARCH_TEST_INLINE long hold_cpu_kinds(std::uint64_t seed, Go&& go) {
    long wrong = hold_mmx<8>(seed, go);
    _mm_empty();
#ifdef __AVX512F__
    wrong += hold_avx512<33>(seed, go);
#endif
    return wrong;
}

// Whether this machine can run a subject that was compiled for these features.
ARCH_TEST_INLINE bool can_run() {
#ifdef __AVX512F__
    return __builtin_cpu_supports("avx512f");
#else
    return true;
#endif
}

}  // namespace arch_test
