// SPDX-License-Identifier: MIT
// aarch64: the switch, the first entry and the call on another stack.
#include "regs.h"

// A stack is left by `br x16`, which may land on `bti j` and on `bti c`. The hint numbers are the
// same instructions, for assemblers that do not know their names at the base architecture.
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define LANDING_CALL hint 34            // bti c
#define LANDING_JUMP hint 36            // bti j
#define FEATURE_BTI 1
#else
#define LANDING_CALL
#define LANDING_JUMP
#define FEATURE_BTI 0
#endif

// A return address that goes to memory is signed, with the sp at entry as the modifier. Signing is
// a landing place for calls too.
#if !defined(__ARM_FEATURE_PAC_DEFAULT)
#define SIGN_RETURN LANDING_CALL
#define CHECK_RETURN
#define FORGET_SIGNATURE
#define FEATURE_PAC 0
#elif __ARM_FEATURE_PAC_DEFAULT & 2
#define SIGN_RETURN .cfi_b_key_frame; hint 27; .cfi_negate_ra_state     // pacibsp
#define CHECK_RETURN hint 31; .cfi_negate_ra_state                      // autibsp
#define FORGET_SIGNATURE .cfi_negate_ra_state
#define FEATURE_PAC 2
#else
#define SIGN_RETURN hint 25; .cfi_negate_ra_state                       // paciasp
#define CHECK_RETURN hint 29; .cfi_negate_ra_state                      // autiasp
#define FORGET_SIGNATURE .cfi_negate_ra_state
#define FEATURE_PAC 2
#endif

        .section pirn_text, "ax", %progbits

// void __pirn_switch(context* from /*x0*/, context* to /*x1*/, void* resume_pc /*x2*/,
//                    void* word /*x26*/)
// Reached by a jump from switch_to, never by a call: a call without its return would leave the
// return predictor one entry behind. Saves resume_pc and sp in *from, goes on at *to. Clobbers x3,
// x4 and x16; x26 arrives as the resumer left it. Runs on both stacks.
        .globl  __pirn_switch
        .hidden __pirn_switch
        .type   __pirn_switch, %function
        .p2align 4
__pirn_switch:
        .cfi_startproc
        .cfi_undefined x30              // not a frame: the wrapper's function is the frame
        LANDING_CALL                    // a linker's veneer gets here by br x16
        ldp     x16, x4, [x1, #PIRN_CONTEXT_PC]  // loads first: they need not wait for the store
        mov     x3, sp
        stp     x2, x3, [x0, #PIRN_CONTEXT_PC]
        mov     sp, x4
        br      x16                     // an indirect jump: predicted by history, unlike ret
        .cfi_endproc
        .size   __pirn_switch, .-__pirn_switch

// void __pirn_jump(context* to /*x0*/, void* word /*x26*/)
// As __pirn_switch for a stack that will not go on: saves nothing.
        .globl  __pirn_jump
        .hidden __pirn_jump
        .type   __pirn_jump, %function
        .p2align 4
__pirn_jump:
        .cfi_startproc
        .cfi_undefined x30
        LANDING_CALL
        ldp     x16, x3, [x0, #PIRN_CONTEXT_PC]
        mov     sp, x3
        br      x16
        .cfi_endproc
        .size   __pirn_jump, .-__pirn_jump

#if PIRN_CONTEXT_SP != PIRN_CONTEXT_PC + 8
#error "stp and ldp above take pc and sp as one pair"
#endif

// The first instruction of a new stack. In: x26 = the word (the closure), sp = the first frame of
// regs.h. Calls entry(word), which must not return. The unwinder ends here; an exception that gets
// here is shown to the personality first. The chain of frame records ends here too: x29 is 0.
        .globl  __pirn_entry
        .hidden __pirn_entry
        .type   __pirn_entry, %function
        .p2align 4
__pirn_entry:
        .cfi_startproc
        .cfi_personality 0x1b, __pirn_entry_personality
        .cfi_def_cfa sp, PIRN_FIRST_FRAME_BYTES
        .cfi_undefined x30
        LANDING_JUMP
        mov     x29, #0
        mov     x30, #0
        ldr     x8, [sp, #PIRN_FIRST_FRAME_ENTRY]
        mov     x0, x26
        blr     x8
        brk     #1                      // entry returned
        .cfi_endproc
        .size   __pirn_entry, .-__pirn_entry

// void* __pirn_call_on(void* top /*x0*/, void* (*fn)(void*) /*x1*/, void* arg /*x2*/)
// Calls fn(arg) on the stack that ends at top, returns its result. Keeps what the ABI keeps. The
// frame is found through x29, so the unwinder crosses from the one stack to the other.
        .globl  __pirn_call_on
        .hidden __pirn_call_on
        .type   __pirn_call_on, %function
        .p2align 4
__pirn_call_on:
        .cfi_startproc
        SIGN_RETURN
        stp     x29, x30, [sp, #-16]!
        .cfi_def_cfa_offset 16
        .cfi_offset x29, -16
        .cfi_offset x30, -8
        mov     x29, sp
        .cfi_def_cfa_register x29
        mov     sp, x0
        mov     x0, x2
        blr     x1
        mov     sp, x29
        .cfi_def_cfa_register sp
        ldp     x29, x30, [sp], #16
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        CHECK_RETURN
        ret
        .cfi_endproc
        .size   __pirn_call_on, .-__pirn_call_on

// void __pirn_restart_on(void* top /*x0*/, void (*fn)(void*) /*x1*/, void* arg /*x2*/)
// Runs fn(arg) on the stack that ends at top. Does not return, and nothing unwinds past it.
        .globl  __pirn_restart_on
        .hidden __pirn_restart_on
        .type   __pirn_restart_on, %function
        .p2align 4
__pirn_restart_on:
        .cfi_startproc
        .cfi_undefined x30
        LANDING_CALL
        mov     sp, x0
        mov     x29, xzr
        mov     x30, xzr
        mov     x0, x2
        blr     x1
        brk     #1                      // fn returned
        .cfi_endproc
        .size   __pirn_restart_on, .-__pirn_restart_on

// void* __pirn_call_as_if_at(const resume_point* at /*x0*/, void* (*fn)(void*) /*x1*/,
//                            void* arg /*x2*/)
// Calls fn(arg) on the caller's stack, but in such a way that an unwinder started inside fn goes
// on at *at instead of at the caller: how a dump walks a parked stack. Keeps what the ABI keeps.
        .globl  __pirn_call_as_if_at
        .hidden __pirn_call_as_if_at
        .type   __pirn_call_as_if_at, %function
        .p2align 4
__pirn_call_as_if_at:
        .cfi_startproc
        SIGN_RETURN
        stp     x29, x30, [sp, #-32]!
        .cfi_def_cfa_offset 32
        .cfi_offset x29, -32
        .cfi_offset x30, -24
        str     x19, [sp, #16]
        .cfi_offset x19, -16
        mov     x29, sp
        mov     x19, x0
        mov     x0, x2
        .cfi_remember_state
        FORGET_SIGNATURE                // the address at *at is not signed
        .cfi_undefined x19
        .cfi_escape 0x0f, 3, 0x83, PIRN_RESUME_POINT_SP, 0x06   // CFA = *(x19 + SP)
        .cfi_escape 0x10, 30, 2, 0x83, PIRN_RESUME_POINT_PC     // x30 is saved at x19 + PC
        .cfi_escape 0x10, 29, 2, 0x83, PIRN_RESUME_POINT_FP     // x29 is saved at x19 + FP
        blr     x1
        .cfi_restore_state
        ldr     x19, [sp, #16]
        .cfi_restore x19
        ldp     x29, x30, [sp], #32
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        CHECK_RETURN
        ret
        .cfi_endproc
        .size   __pirn_call_as_if_at, .-__pirn_call_as_if_at

#if FEATURE_BTI || FEATURE_PAC
// Says that this object keeps branch targets (1) and signs return addresses (2). Not guarded
// control stacks (4): a switch does not carry them.
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5
        .string "GNU"
        .long   0xc0000000, 4, (FEATURE_BTI | FEATURE_PAC), 0
#endif
        .section .note.GNU-stack, "", %progbits
