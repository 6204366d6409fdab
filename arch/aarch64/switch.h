// SPDX-License-Identifier: MIT
// aarch64: the inline side of a switch. The routine swaps PC, SP and x26; here the compiler is told
// that everything else is gone, so that a call site saves only what is live there.
#pragma once

// br x16 gets here; `bti j` by its hint number, which every assembler knows.
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define PIRN_ASM_LANDING "hint 36\n\t"
#else
#define PIRN_ASM_LANDING ""
#endif

// clang may need x19 for itself.
#ifdef __clang__
#define PIRN_CLOBBER_X19
#else
#define PIRN_CLOBBER_X19 , "x19"
#endif
// Registers that exist only where the compiler may use them. The v registers below stand for the
// whole z registers. clang has no name for ffr, and keeps nothing in it across an asm.
#ifdef __ARM_FEATURE_SVE
#define PIRN_CLOBBER_PREDICATES                                                            \
    , "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", \
        "p14", "p15"
#else
#define PIRN_CLOBBER_PREDICATES
#endif
#if defined(__ARM_FEATURE_SVE) && !defined(__clang__)
#define PIRN_CLOBBER_FFR , "ffr"
#else
#define PIRN_CLOBBER_FFR
#endif

// What the pass must know: the stack that the inline assembly itself uses.
#ifdef PIRN_SPLIT
#define PIRN_ASM_NEED ".pirn_need 16\n\t"
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
// Saved by hand, because declaring them as clobbered is refused:
//   x29   wherever it is the frame pointer;
//   x19   where clang finds over-aligned locals through it, in a function that also calls alloca.
// Neither should hold a value across the switch otherwise: it would come back by a load that waits
// for the store of the last switch, and as the address of the next context delay that. So x19 is
// declared as clobbered where the compiler allows it, and asking for the frame's address makes x29
// the frame pointer under all flags; a parked function then always has one.
//
// x16 and x17 are also what a linker's veneer on the way to __pirn_switch needs. FPCR is not
// swapped.
[[gnu::always_inline]] inline void* switch_to(context* from, context* to, void* word) {
    asm volatile("" : : "X"(__builtin_frame_address(0)));
    // No constraint letter names one register on this CPU; these variables bind the operands.
    register context* from_x0 asm("x0") = from;
    register context* to_x1 asm("x1") = to;
    register void* word_x26 asm("x26") = word;
    asm volatile(
        PIRN_ASM_NEED
        "stp x29, x19, [sp, #-16]!\n\t"
        "adr x2, 1f\n\t"
        "b __pirn_switch\n"
        "1:\t" PIRN_ASM_LANDING
        "ldp x29, x19, [sp], #16\n\t"
        : "+r"(from_x0), "+r"(to_x1), "+r"(word_x26)
        :
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
          "x16", "x17", "x18", "x20", "x21", "x22", "x23", "x24", "x25", "x27", "x28", "x30",
          "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",
          "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
          "v27", "v28", "v29", "v30", "v31", "cc",
          "memory" PIRN_CLOBBER_X19 PIRN_CLOBBER_PREDICATES PIRN_CLOBBER_FFR);
    return word_x26;
}

// As switch_to, for a stack that will never go on.
[[noreturn, gnu::always_inline]] inline void jump_to(context* to, void* word) {
    register context* to_x0 asm("x0") = to;
    register void* word_x26 asm("x26") = word;
    asm volatile(PIRN_ASM_NO_NEED "b __pirn_jump" : : "r"(to_x0), "r"(word_x26) : "memory");
    __builtin_unreachable();
}

}  // namespace pirn::arch

#undef PIRN_CLOBBER_FFR
#undef PIRN_CLOBBER_PREDICATES
#undef PIRN_CLOBBER_X19
#undef PIRN_ASM_NO_NEED
#undef PIRN_ASM_NEED
#undef PIRN_ASM_LANDING
