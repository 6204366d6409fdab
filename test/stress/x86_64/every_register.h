// SPDX-License-Identifier: MIT
// x86-64: values in every register, for so many turns of a loop that calls nothing.
#pragma once

#include <cstdint>
#include <cstring>

// What the pass must know: the stack that the assembly itself uses.
#ifdef PIRN_SPLIT
#define STRESS_NEED ".pirn_need 176\n\t"
#else
#define STRESS_NEED ""
#endif

namespace stress {

struct register_file {
    std::uint64_t general[16];  // of rax ... r15, rdi last of the registers; then the carry flag
    std::uint64_t wide;         // whether there are ymm registers
    alignas(64) unsigned char vector[16][32];
};

inline constexpr int k_generals = 15;

inline void prepare(register_file& file) {
    file.wide = __builtin_cpu_supports("avx") != 0;
    file.general[15] = 0;
    // The upper halves stay what they are where nothing loads them.
    if (file.wide == 0) {
        for (auto& v : file.vector) std::memset(v + 16, 0, 16);
    }
}

inline bool flags_kept(const register_file& file) { return file.general[15] == 1; }

// Loads all from the file, spins, and stores all.
[[gnu::noinline]] inline void hold_every_register(register_file* file, std::uint64_t spins) {
    asm volatile(
        STRESS_NEED
        "subq $128, %%rsp\n\t"  // the red zone
        "pushq %%rbp\n\t"
        "pushq %%rdi\n\t"
        "pushq %%rsi\n\t"
        "cmpq $0, 128(%%rdi)\n\t"
        "je 1f\n\t"
        "vmovups 192(%%rdi), %%ymm0\n\t"
        "vmovups 224(%%rdi), %%ymm1\n\t"
        "vmovups 256(%%rdi), %%ymm2\n\t"
        "vmovups 288(%%rdi), %%ymm3\n\t"
        "vmovups 320(%%rdi), %%ymm4\n\t"
        "vmovups 352(%%rdi), %%ymm5\n\t"
        "vmovups 384(%%rdi), %%ymm6\n\t"
        "vmovups 416(%%rdi), %%ymm7\n\t"
        "vmovups 448(%%rdi), %%ymm8\n\t"
        "vmovups 480(%%rdi), %%ymm9\n\t"
        "vmovups 512(%%rdi), %%ymm10\n\t"
        "vmovups 544(%%rdi), %%ymm11\n\t"
        "vmovups 576(%%rdi), %%ymm12\n\t"
        "vmovups 608(%%rdi), %%ymm13\n\t"
        "vmovups 640(%%rdi), %%ymm14\n\t"
        "vmovups 672(%%rdi), %%ymm15\n\t"
        "jmp 2f\n"
        "1:\n\t"
        "movups 192(%%rdi), %%xmm0\n\t"
        "movups 224(%%rdi), %%xmm1\n\t"
        "movups 256(%%rdi), %%xmm2\n\t"
        "movups 288(%%rdi), %%xmm3\n\t"
        "movups 320(%%rdi), %%xmm4\n\t"
        "movups 352(%%rdi), %%xmm5\n\t"
        "movups 384(%%rdi), %%xmm6\n\t"
        "movups 416(%%rdi), %%xmm7\n\t"
        "movups 448(%%rdi), %%xmm8\n\t"
        "movups 480(%%rdi), %%xmm9\n\t"
        "movups 512(%%rdi), %%xmm10\n\t"
        "movups 544(%%rdi), %%xmm11\n\t"
        "movups 576(%%rdi), %%xmm12\n\t"
        "movups 608(%%rdi), %%xmm13\n\t"
        "movups 640(%%rdi), %%xmm14\n\t"
        "movups 672(%%rdi), %%xmm15\n\t"
        "2:\n\t"
        "movq 0(%%rdi), %%rax\n\t"
        "movq 8(%%rdi), %%rcx\n\t"
        "movq 16(%%rdi), %%rdx\n\t"
        "movq 24(%%rdi), %%rbx\n\t"
        "movq 32(%%rdi), %%rbp\n\t"
        "movq 40(%%rdi), %%rsi\n\t"
        "movq 48(%%rdi), %%r8\n\t"
        "movq 56(%%rdi), %%r9\n\t"
        "movq 64(%%rdi), %%r10\n\t"
        "movq 72(%%rdi), %%r11\n\t"
        "movq 80(%%rdi), %%r12\n\t"
        "movq 88(%%rdi), %%r13\n\t"
        "movq 96(%%rdi), %%r14\n\t"
        "movq 104(%%rdi), %%r15\n\t"
        "movq 112(%%rdi), %%rdi\n\t"
        "stc\n"
        "3:\n\t"
        "decq (%%rsp)\n\t"  // leaves the carry flag alone
        "jnz 3b\n\t"
        "pushq %%rdi\n\t"
        "movq 16(%%rsp), %%rdi\n\t"
        "movq %%rax, 0(%%rdi)\n\t"
        "movq %%rcx, 8(%%rdi)\n\t"
        "movq %%rdx, 16(%%rdi)\n\t"
        "movq %%rbx, 24(%%rdi)\n\t"
        "movq %%rbp, 32(%%rdi)\n\t"
        "movq %%rsi, 40(%%rdi)\n\t"
        "movq %%r8, 48(%%rdi)\n\t"
        "movq %%r9, 56(%%rdi)\n\t"
        "movq %%r10, 64(%%rdi)\n\t"
        "movq %%r11, 72(%%rdi)\n\t"
        "movq %%r12, 80(%%rdi)\n\t"
        "movq %%r13, 88(%%rdi)\n\t"
        "movq %%r14, 96(%%rdi)\n\t"
        "movq %%r15, 104(%%rdi)\n\t"
        "setc %%cl\n\t"
        "movzbl %%cl, %%ecx\n\t"
        "movq %%rcx, 120(%%rdi)\n\t"
        "popq %%rax\n\t"
        "movq %%rax, 112(%%rdi)\n\t"
        "cmpq $0, 128(%%rdi)\n\t"
        "je 4f\n\t"
        "vmovups %%ymm0, 192(%%rdi)\n\t"
        "vmovups %%ymm1, 224(%%rdi)\n\t"
        "vmovups %%ymm2, 256(%%rdi)\n\t"
        "vmovups %%ymm3, 288(%%rdi)\n\t"
        "vmovups %%ymm4, 320(%%rdi)\n\t"
        "vmovups %%ymm5, 352(%%rdi)\n\t"
        "vmovups %%ymm6, 384(%%rdi)\n\t"
        "vmovups %%ymm7, 416(%%rdi)\n\t"
        "vmovups %%ymm8, 448(%%rdi)\n\t"
        "vmovups %%ymm9, 480(%%rdi)\n\t"
        "vmovups %%ymm10, 512(%%rdi)\n\t"
        "vmovups %%ymm11, 544(%%rdi)\n\t"
        "vmovups %%ymm12, 576(%%rdi)\n\t"
        "vmovups %%ymm13, 608(%%rdi)\n\t"
        "vmovups %%ymm14, 640(%%rdi)\n\t"
        "vmovups %%ymm15, 672(%%rdi)\n\t"
        "vzeroupper\n\t"
        "jmp 5f\n"
        "4:\n\t"
        "movups %%xmm0, 192(%%rdi)\n\t"
        "movups %%xmm1, 224(%%rdi)\n\t"
        "movups %%xmm2, 256(%%rdi)\n\t"
        "movups %%xmm3, 288(%%rdi)\n\t"
        "movups %%xmm4, 320(%%rdi)\n\t"
        "movups %%xmm5, 352(%%rdi)\n\t"
        "movups %%xmm6, 384(%%rdi)\n\t"
        "movups %%xmm7, 416(%%rdi)\n\t"
        "movups %%xmm8, 448(%%rdi)\n\t"
        "movups %%xmm9, 480(%%rdi)\n\t"
        "movups %%xmm10, 512(%%rdi)\n\t"
        "movups %%xmm11, 544(%%rdi)\n\t"
        "movups %%xmm12, 576(%%rdi)\n\t"
        "movups %%xmm13, 608(%%rdi)\n\t"
        "movups %%xmm14, 640(%%rdi)\n\t"
        "movups %%xmm15, 672(%%rdi)\n\t"
        "5:\n\t"
        "addq $16, %%rsp\n\t"
        "popq %%rbp\n\t"
        "addq $128, %%rsp"
        : "+D"(file), "+S"(spins)
        :
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
          "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
          "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
}

}  // namespace stress
