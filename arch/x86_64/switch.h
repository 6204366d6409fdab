// SPDX-License-Identifier: MIT
// x86-64: the inline side of a switch. The routine swaps PC, SP and rdx; here the compiler is told
// that everything else is gone, so that a call site saves only what is live there.
#pragma once

#if defined(__CET__) && (__CET__ & 1)
#define PIRN_ASM_LANDING "endbr64\n\t"
#else
#define PIRN_ASM_LANDING ""
#endif

// Registers that exist only where the compiler may use them.
#ifdef __AVX512F__
#define PIRN_CLOBBER_AVX512                                                                     \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4",     \
        "k5", "k6", "k7"
#else
#define PIRN_CLOBBER_AVX512
#endif
#if defined(__APX_F__) || defined(__EGPR__)
#define PIRN_CLOBBER_APX                                                                     \
    , "r16", "r17", "r18", "r19", "r20", "r21", "r22", "r23", "r24", "r25", "r26", "r27", "r28", \
        "r29", "r30", "r31"
#else
#define PIRN_CLOBBER_APX
#endif

// What the pass must know: the stack that the inline assembly itself uses.
#ifdef PIRN_SPLIT
#define PIRN_ASM_NEED ".pirn_need 144\n\t"
#define PIRN_ASM_NO_NEED ".pirn_need 0\n\t"
#else
#define PIRN_ASM_NEED ""
#define PIRN_ASM_NO_NEED ""
#endif

namespace pirn::arch {

// Parks the running stack in *from and goes on with *to, another context, handing it `word`: to its
// entry function if it never ran, else as the result of the switch_to that parked it. Returns, on
// this stack again, what the resumer handed over. Everything derived from the thread (its address,
// errno, thread-locals) may have changed.
//
// Saved by hand, because declaring them as clobbered is refused or ignored:
//   rbp   wherever it is the frame pointer;
//   rbx   where clang finds over-aligned locals through it, in a function that also calls alloca.
// Neither may hold a value across the switch otherwise: it would come back by a load that waits for
// the store of the last switch, and as the address of the next context it made a switch three times
// as slow. So rbx is declared as clobbered all the same, and asking for the frame's address makes
// rbp the frame pointer under all flags; a parked function then always has one.
//
// The red zone is stepped over before the pushes. MXCSR and the x87 control word are not swapped.
[[gnu::always_inline]] inline void* switch_to(context* from, context* to, void* word) {
    asm volatile("" : : "X"(__builtin_frame_address(0)));
    asm volatile(
        PIRN_ASM_NEED
        "leaq -128(%%rsp), %%rsp\n\t"
        "pushq %%rbp\n\t"
        "pushq %%rbx\n\t"
        "leaq 1f(%%rip), %%rcx\n\t"
        "jmp __pirn_switch\n"
        "1:\t" PIRN_ASM_LANDING
        "popq %%rbx\n\t"
        "popq %%rbp\n\t"
        // A 32-bit displacement by hand, so that the sequence has one length (PIRN_RESUME_BYTES).
        ".byte 0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0\n\t"  // leaq 128(%rsp), %rsp
        : "+D"(from), "+S"(to), "+d"(word)
        :
        : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1",
          "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
          "xmm13", "xmm14", "xmm15", "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st",
          "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "cc",
          "memory" PIRN_CLOBBER_AVX512 PIRN_CLOBBER_APX);
    return word;
}

// As switch_to, for a stack that will never go on.
[[noreturn, gnu::always_inline]] inline void jump_to(context* to, void* word) {
    asm volatile(PIRN_ASM_NO_NEED "jmp __pirn_jump" : : "D"(to), "d"(word) : "memory");
    __builtin_unreachable();
}

}  // namespace pirn::arch

#undef PIRN_CLOBBER_APX
#undef PIRN_CLOBBER_AVX512
#undef PIRN_ASM_NO_NEED
#undef PIRN_ASM_NEED
#undef PIRN_ASM_LANDING
