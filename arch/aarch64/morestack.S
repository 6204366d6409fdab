// SPDX-License-Identifier: MIT
// aarch64: growth. A call that does not fit on the stack it is made on goes on on a segment, and
// comes back to its caller when it returns.
//
// Two things come here by a branch, with x30 still the return address of the call: the check at a
// function's entry, and a call of code that did not go through the pass. Every register but x16,
// x17 and the flags is as it was when the callee starts and when the caller goes on: compilers keep
// values in any register that they know a callee not to touch.
//
// During a hop x29 is the segment, whose upper end is the record of the hop (regs.h). The fast
// path takes the first segment of the thread's cache; the slow path has the run time put one there.
#include "regs.h"

#ifdef __ARM_FEATURE_BTI_DEFAULT
#define LANDING hint 34                 // bti c
#else
#define LANDING
#endif

// What all ways in have pushed when they meet, from sp on:
//   0 x11   8 x12   16 x13   24 x14   32 x9   40 x10   48 stack arguments
#define ARGUMENTS 48

// The thread into \thread, its control block into \tp.
.macro THREAD thread, tp
        mrs     \tp, tpidr_el0
        adrp    \thread, :gottprel:__pirn_thread
        ldr     \thread, [\thread, :gottprel_lo12:__pirn_thread]
        ldr     \thread, [\tp, \thread]
.endm

.macro SAVE
        stp     x11, x12, [sp, #-32]!
        .cfi_adjust_cfa_offset 32
        stp     x13, x14, [sp, #16]
.endm

// Every vector register, at sp.
.macro VECTORS op
        \op    q0, q1, [sp, #0]
        \op    q2, q3, [sp, #32]
        \op    q4, q5, [sp, #64]
        \op    q6, q7, [sp, #96]
        \op    q8, q9, [sp, #128]
        \op    q10, q11, [sp, #160]
        \op    q12, q13, [sp, #192]
        \op    q14, q15, [sp, #224]
        \op    q16, q17, [sp, #256]
        \op    q18, q19, [sp, #288]
        \op    q20, q21, [sp, #320]
        \op    q22, q23, [sp, #352]
        \op    q24, q25, [sp, #384]
        \op    q26, q27, [sp, #416]
        \op    q28, q29, [sp, #448]
        \op    q30, q31, [sp, #480]
.endm

        .section pirn_text, "ax", %progbits

// Entered from a function's check: at the function's body (x10) goes on what needs at most
// PIRN_COMMON_NEED_BYTES and reads no stack arguments. On the stack: x9, x10.
        .globl  __pirn_morestack0
        .protected __pirn_morestack0
        .type   __pirn_morestack0, %function
        .p2align 4
__pirn_morestack0:
        .cfi_startproc
        .cfi_personality 0x1b, __pirn_hop_personality
        .cfi_def_cfa_offset 16
        SAVE
        mov     x9, #PIRN_COMMON_NEED_BYTES

// x9 = bytes needed, x10 = where to go on. Without stack arguments.
.Lhop:
        THREAD  x12, x11
        cbz     x12, .Lstray
        ldr     x13, [x11, #PIRN_LIMIT_WORD]
        cmn     x13, #1                 // PIRN_GIVE_WAY?
        b.eq    .Lslow
        ldr     x13, [x12, #PIRN_THREAD_SEGMENTS]
        cbz     x13, .Lslow
        ldr     x14, [x13, #PIRN_SEGMENT_ROOM]
        cmp     x14, x9
        b.lo    .Lslow
        ldr     x14, [x12, #PIRN_THREAD_HOPS_LEFT]
        subs    x14, x14, #1
        str     x14, [x12, #PIRN_THREAD_HOPS_LEFT]
        b.lo    .Lslow
        ldr     x14, [x13, #PIRN_SEGMENT_NEXT]
        str     x14, [x12, #PIRN_THREAD_SEGMENTS]
        // The new sp lies as the old one does in its cache line: over-aligned arguments and
        // frames find what they found.
        add     x16, sp, #ARGUMENTS
        and     x17, x16, #63
        add     x14, x13, x17
        sub     x14, x14, #64

// x10 = where to go on, x11 = the control block, x12 = the thread, x13 = the segment, x14 = the new
// sp, x16 = the old one. Debuggers let a stack go on anywhere else from a function of this name,
// and from no other.
        .set    __morestack, .Lgo
        .type   __morestack, %function
.Lgo:
        ldr     x17, [x12, #PIRN_THREAD_CUR]
        stp     x29, x30, [x13, #PIRN_SEGMENT_FP]
        ldr     x9, [x17, #PIRN_GROWTH_LIMIT]
        stp     x16, x9, [x13, #PIRN_SEGMENT_SP]        // and LIMIT_BEFORE
        ldr     x9, [x17, #PIRN_GROWTH_HOPS]
        str     x9, [x13, #PIRN_SEGMENT_BELOW]
        ldr     x9, [x13, #PIRN_SEGMENT_LIMIT]
        stp     x9, x13, [x17, #PIRN_GROWTH_LIMIT]      // and HOPS
        str     x9, [x11, #PIRN_LIMIT_WORD]
        mov     x29, x13
        .cfi_remember_state
        .cfi_escape 0x0f, 3, 0x8d, PIRN_SEGMENT_SP, 0x06        // CFA = *(x29 + SP)
        .cfi_escape 0x10, 29, 2, 0x8d, PIRN_SEGMENT_FP          // x29 is saved at x29 + FP
        .cfi_escape 0x10, 30, 2, 0x8d, PIRN_SEGMENT_RA          // x30 is saved at x29 + RA
        mov     x16, x10
        mov     x17, sp
        mov     sp, x14
        ldp     x11, x12, [x17]
        ldp     x13, x14, [x17, #16]
        ldp     x9, x10, [x17, #32]
        blr     x16

        // Back, perhaps on another thread. x30 is free until it is loaded again.
        mrs     x30, tpidr_el0
        ldr     x17, [x29, #PIRN_SEGMENT_LIMIT_BEFORE]
        str     x17, [x30, #PIRN_LIMIT_WORD]
        adrp    x16, :gottprel:__pirn_thread
        ldr     x16, [x16, :gottprel_lo12:__pirn_thread]
        ldr     x30, [x30, x16]
        ldr     x16, [x30, #PIRN_THREAD_CUR]
        str     x17, [x16, #PIRN_GROWTH_LIMIT]
        ldr     x17, [x29, #PIRN_SEGMENT_BELOW]
        str     x17, [x16, #PIRN_GROWTH_HOPS]
        ldr     x17, [x30, #PIRN_THREAD_SEGMENTS]
        str     x17, [x29, #PIRN_SEGMENT_NEXT]
        str     x29, [x30, #PIRN_THREAD_SEGMENTS]
        ldr     x16, [x29, #PIRN_SEGMENT_SP]
        mov     sp, x16
        ldp     x29, x30, [x29, #PIRN_SEGMENT_FP]
        .cfi_def_cfa sp, 0
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_restore_state

// As .Lhop, with stack arguments: x17 = how many bytes at the most; -1: all there are.
.Lhop_with_arguments:
        THREAD  x12, x11
        cbz     x12, .Lstray
        // There are none above the upper end of the old stack.
        ldr     x13, [x12, #PIRN_THREAD_CUR]
        ldr     x14, [x13, #PIRN_GROWTH_HOPS]
        cmp     x14, #0
        csel    x14, x13, x14, eq
        add     x16, sp, #ARGUMENTS
        sub     x14, x14, x16
        cmp     x17, x14
        csel    x17, x17, x14, lo
        add     x17, x17, #15
        and     x17, x17, #-16
        add     x9, x9, x17             // the arguments lie on the segment too
        ldr     x13, [x11, #PIRN_LIMIT_WORD]
        cmn     x13, #1                 // PIRN_GIVE_WAY?
        b.eq    .Lslow_with_arguments
        ldr     x13, [x12, #PIRN_THREAD_SEGMENTS]
        cbz     x13, .Lslow_with_arguments
        ldr     x14, [x13, #PIRN_SEGMENT_ROOM]
        cmp     x14, x9
        b.lo    .Lslow_with_arguments
        ldr     x14, [x12, #PIRN_THREAD_HOPS_LEFT]
        subs    x14, x14, #1
        str     x14, [x12, #PIRN_THREAD_HOPS_LEFT]
        b.lo    .Lslow_with_arguments

// x10 = where to go on, x11 = the control block, x12 = the thread, x13 = the segment, x16 = the old
// sp, x17 = how many bytes of arguments to copy, a multiple of 8.
.Ltake:
        ldr     x14, [x13, #PIRN_SEGMENT_NEXT]
        str     x14, [x12, #PIRN_THREAD_SEGMENTS]
        // The new sp, congruent to the old one modulo 64.
        sub     x14, x13, x17
        sub     x14, x14, x16
        and     x14, x14, #-64
        add     x14, x14, x16
1:      cbz     x17, .Lgo
        sub     x17, x17, #8
        ldr     x9, [x16, x17]
        str     x9, [x14, x17]
        b       1b

// No segment at hand is large enough, or the run time wants to look at this hop, or have the
// goroutine give way: it is
// called, on the thread's own stack, with every register kept, the vector registers too. x9 = bytes
// needed, arguments included.
.Lslow:
        mov     x17, #0
.Lslow_with_arguments:
        ldr     x13, [x12, #PIRN_THREAD_G0_SP]
        mov     x14, sp
        mov     sp, x13
        stp     x29, x14, [sp, #-16]!
        mov     x29, sp
        .cfi_remember_state
        .cfi_escape 0x0f, 5, 0x8d, 8, 0x06, 0x23, ARGUMENTS     // CFA = *(x29 + 8) + ARGUMENTS
        .cfi_escape 0x10, 29, 2, 0x8d, 0                        // x29 is saved at x29
        .cfi_escape 0x10, 30, 2, 0x8d, 0x70                     // x30 is saved at x29 - 16
        stp     x30, x17, [sp, #-16]!
        stp     x0, x1, [sp, #-96]!
        stp     x2, x3, [sp, #16]
        stp     x4, x5, [sp, #32]
        stp     x6, x7, [sp, #48]
        stp     x8, x10, [sp, #64]
        stp     x15, x18, [sp, #80]
        sub     sp, sp, #512
        VECTORS stp
        str     xzr, [x11, #PIRN_LIMIT_WORD]
        mov     x0, x9
        mov     x1, x30
        mov     x2, x10
        adrp    x16, __pirn_add_segment
        ldr     x16, [x16, :lo12:__pirn_add_segment]
        blr     x16
        VECTORS ldp
        add     sp, sp, #512
        ldp     x2, x3, [sp, #16]
        ldp     x4, x5, [sp, #32]
        ldp     x6, x7, [sp, #48]
        ldp     x8, x10, [sp, #64]
        ldp     x15, x18, [sp, #80]
        ldp     x0, x1, [sp], #96
        ldp     x30, x17, [sp], #16
        ldp     x29, x14, [sp]
        mov     sp, x14
        .cfi_restore_state
        THREAD  x12, x11
        ldr     x13, [x12, #PIRN_THREAD_SEGMENTS]
        add     x16, sp, #ARGUMENTS
        b       .Ltake

// A thread that runs no goroutines has a limit: somebody else uses the word. On the thread's own
// stack, so there is room for the report.
.Lstray:
        str     xzr, [x11, #PIRN_LIMIT_WORD]
        .weak   __pirn_stray_limit
        bl      __pirn_stray_limit
        brk     #1
        .cfi_endproc
        .size   __morestack, .-.Lgo
        .size   __pirn_morestack0, .-__pirn_morestack0

// As __pirn_morestack0, for a function that may read any of its stack arguments. On the stack: x9,
// x10.
        .globl  __pirn_morestacka
        .protected __pirn_morestacka
        .type   __pirn_morestacka, %function
        .p2align 4
__pirn_morestacka:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        SAVE
        mov     x9, #PIRN_COMMON_NEED_BYTES
        mov     x17, #-1
        b       .Lhop_with_arguments
        .cfi_endproc
        .size   __pirn_morestacka, .-__pirn_morestacka

// Entered from a function's check whose needs do not fit the common forms. x9 = bytes needed / 16
// in its lower half, bytes of stack arguments / 16 in the 16 bits above, 0xffff for all there are.
// On the stack: x9, x10.
        .globl  __pirn_morestack
        .protected __pirn_morestack
        .type   __pirn_morestack, %function
        .p2align 4
__pirn_morestack:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        SAVE
        ubfx    x16, x9, #32, #16
        ubfiz   x9, x9, #4, #32
        cbz     x16, .Lhop
        lsl     x17, x16, #4
        mov     x14, #0xffff
        cmp     x16, x14
        csinv   x17, x17, xzr, ne
        b       .Lhop_with_arguments
        .cfi_endproc
        .size   __pirn_morestack, .-__pirn_morestack

// Code that did not go through the pass (x10) does not have k_foreign_bytes here. No arguments on
// the stack. x9 to x15 are free at such a call.
        .globl  __pirn_foreign0
        .protected __pirn_foreign0
        .type   __pirn_foreign0, %function
        .p2align 4
__pirn_foreign0:
        .cfi_startproc
        stp     x9, x10, [sp, #-16]!
        .cfi_adjust_cfa_offset 16
        SAVE
        mov     x9, #PIRN_FOREIGN_BYTES
        b       .Lhop
        .cfi_endproc
        .size   __pirn_foreign0, .-__pirn_foreign0

// As __pirn_foreign0, with at most x9 bytes of stack arguments; -1: all there are.
        .globl  __pirn_foreign
        .protected __pirn_foreign
        .type   __pirn_foreign, %function
        .p2align 4
__pirn_foreign:
        .cfi_startproc
        stp     x9, x10, [sp, #-16]!
        .cfi_adjust_cfa_offset 16
        SAVE
        mov     x17, x9
        mov     x9, #PIRN_FOREIGN_BYTES
        b       .Lhop_with_arguments
        .cfi_endproc
        .size   __pirn_foreign, .-__pirn_foreign

// malloc and its kin, called by code that went through the pass: these names take the place of the
// thunks that its objects carry. They need little stack, and how little is known only at the start,
// when it is seen whose malloc it is (arch.h).
.macro SECOND_NAME prefix, name
        .globl  "\prefix\name"
        .hidden "\prefix\name"
        .type   "\prefix\name", %function
"\prefix\name":
.endm
.macro BEGIN_GATE name
        .p2align 4
        SECOND_NAME __split$, \name
        SECOND_NAME __splita$, \name
        SECOND_NAME __splitr$, \name
        SECOND_NAME __splitra$, \name
        .cfi_startproc
        LANDING
.endm
.macro END_GATE name
        .cfi_endproc
        .size   "__split$\name", .-"__split$\name"
        .size   "__splita$\name", .-"__splita$\name"
        .size   "__splitr$\name", .-"__splitr$\name"
        .size   "__splitra$\name", .-"__splitra$\name"
.endm
// On with the function itself, where it finds as much as any foreign one.
.macro CALL_FOREIGN name
        mrs     x16, tpidr_el0
        ldr     x16, [x16, #PIRN_LIMIT_WORD]
        sub     x17, sp, #(PIRN_FOREIGN_BYTES >> 12), lsl #12
        cmp     x17, x16
        b.lo    9f
        b       \name
9:      adrp    x10, :got:\name
        ldr     x10, [x10, :got_lo12:\name]
        b       __pirn_foreign0
.endm
// To \otherwise where less is left than an allocation needs.
.macro CHECK_ALLOCATION otherwise
        adrp    x17, __pirn_allocation_bytes
        ldr     x17, [x17, :lo12:__pirn_allocation_bytes]
        mrs     x16, tpidr_el0
        ldr     x16, [x16, #PIRN_LIMIT_WORD]
        add     x16, x16, x17
        cmp     sp, x16
        b.lo    \otherwise
.endm
// The same where new and delete are malloc and free.
.macro CHECK_NEW otherwise
        adrp    x16, __pirn_new_is_malloc
        ldrb    w16, [x16, :lo12:__pirn_new_is_malloc]
        cbz     w16, \otherwise
        CHECK_ALLOCATION \otherwise
.endm
.macro ALLOCATION name
        BEGIN_GATE \name
        CHECK_ALLOCATION 1f
        b       \name
1:      CALL_FOREIGN \name
        END_GATE \name
.endm
// operator new is malloc where it is the C++ library's own. It throws where that fails, which needs
// much more stack: then it is called itself.
.macro NEW name
        BEGIN_GATE \name
        CHECK_NEW 1f
        stp     x0, x30, [sp, #-16]!
        .cfi_def_cfa_offset 16
        .cfi_offset x30, -8
        bl      malloc
        mov     x10, x0
        ldp     x0, x30, [sp], #16
        .cfi_def_cfa_offset 0
        .cfi_restore x30
        cbz     x10, 1f
        mov     x0, x10
        ret
1:      CALL_FOREIGN \name
        END_GATE \name
.endm
.macro DELETE name
        BEGIN_GATE \name
        CHECK_NEW 1f
        b       \name
1:      CALL_FOREIGN \name
        END_GATE \name
.endm
        ALLOCATION malloc
        ALLOCATION calloc
        ALLOCATION realloc
        ALLOCATION free
        NEW     _Znwm                   // operator new(unsigned long)
        NEW     _Znam                   // operator new[](unsigned long)
        DELETE  _ZdlPv                  // operator delete(void*)
        DELETE  _ZdaPv                  // operator delete[](void*)
        DELETE  _ZdlPvm                 // operator delete(void*, unsigned long)
        DELETE  _ZdaPvm                 // operator delete[](void*, unsigned long)

// void __pirn_call_large(void (*fn)(void*) /*x0*/, void* arg /*x1*/)
// A tail call of fn(arg) where k_foreign_bytes are left.
        .globl  __pirn_call_large
        .hidden __pirn_call_large
        .type   __pirn_call_large, %function
        .p2align 4
__pirn_call_large:
        .cfi_startproc
        LANDING
        mov     x10, x0
        mov     x0, x1
        mrs     x16, tpidr_el0
        ldr     x16, [x16, #PIRN_LIMIT_WORD]
        sub     x17, sp, #(PIRN_FOREIGN_BYTES >> 12), lsl #12
        cmp     x17, x16
        b.lo    __pirn_foreign0
        mov     x16, x10
        br      x16
        .cfi_endproc
        .size   __pirn_call_large, .-__pirn_call_large

// Called right after setjmp has returned, perhaps by a longjmp from a segment that is left thereby:
// gives up the hops whose segments do not hold sp. Keeps every register but x16, x17 and the flags.
        .globl  __pirn_fixlimit
        .protected __pirn_fixlimit
        .type   __pirn_fixlimit, %function
        .p2align 4
__pirn_fixlimit:
        .cfi_startproc
        LANDING
        stp     x0, x1, [sp, #-32]!
        .cfi_def_cfa_offset 32
        stp     x2, x3, [sp, #16]
        THREAD  x1, x0
        cbz     x1, 4f
        ldr     x2, [x1, #PIRN_THREAD_CUR]
        cbz     x2, 4f
1:      ldr     x3, [x2, #PIRN_GROWTH_HOPS]
        cbz     x3, 2f
        cmp     sp, x3                  // above its upper end?
        b.hs    3f
        ldr     x16, [x3, #PIRN_SEGMENT_LIMIT]
        cmp     sp, x16
        b.hs    2f
3:      ldr     x16, [x3, #PIRN_SEGMENT_BELOW]
        str     x16, [x2, #PIRN_GROWTH_HOPS]
        ldr     x16, [x3, #PIRN_SEGMENT_LIMIT_BEFORE]
        str     x16, [x2, #PIRN_GROWTH_LIMIT]
        ldr     x16, [x1, #PIRN_THREAD_SEGMENTS]
        str     x16, [x3, #PIRN_SEGMENT_NEXT]
        str     x3, [x1, #PIRN_THREAD_SEGMENTS]
        b       1b
2:      ldr     x16, [x2, #PIRN_GROWTH_LIMIT]   // 0 after a jump out of a signal handler
        str     x16, [x0, #PIRN_LIMIT_WORD]
4:      ldp     x2, x3, [sp, #16]
        ldp     x0, x1, [sp], #32
        .cfi_def_cfa_offset 0
        ret
        .cfi_endproc
        .size   __pirn_fixlimit, .-__pirn_fixlimit

// Reached by a branch where alloca or a variable-length array has taken sp below the limit: nothing
// may be stored there, so the report runs on the thread's own stack. Does not return.
        .globl  __pirn_alloca_overflow
        .protected __pirn_alloca_overflow
        .type   __pirn_alloca_overflow, %function
        .p2align 4
__pirn_alloca_overflow:
        .cfi_startproc
        .cfi_undefined x30
        THREAD  x1, x0
        ldr     x2, [x1, #PIRN_THREAD_G0_SP]
        str     xzr, [x0, #PIRN_LIMIT_WORD]
        mov     x0, sp
        mov     sp, x2
        adrp    x16, __pirn_alloca_report
        ldr     x16, [x16, :lo12:__pirn_alloca_report]
        blr     x16
        brk     #1
        .cfi_endproc
        .size   __pirn_alloca_overflow, .-__pirn_alloca_overflow

#if defined(__ARM_FEATURE_BTI_DEFAULT) || defined(__ARM_FEATURE_PAC_DEFAULT)
// Says that this object keeps branch targets (1) and does not hinder signed return addresses (2).
// Not guarded control stacks (4): a hop does not carry them.
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5
        .string "GNU"
#if defined(__ARM_FEATURE_BTI_DEFAULT) && defined(__ARM_FEATURE_PAC_DEFAULT)
        .long   0xc0000000, 4, 3, 0
#elif defined(__ARM_FEATURE_BTI_DEFAULT)
        .long   0xc0000000, 4, 1, 0
#else
        .long   0xc0000000, 4, 2, 0
#endif
#endif
        .section .note.GNU-stack, "", %progbits
