// SPDX-License-Identifier: MIT
// x86-64: the switch, the first entry and the call on another stack.
#include "regs.h"

#if defined(__CET__) && (__CET__ & 1)
#define LANDING endbr64
#else
#define LANDING
#endif

        .section pirn_text, "ax", %progbits

// void __pirn_switch(context* from /*rdi*/, context* to /*rsi*/, void* word /*rdx*/,
//                    void* resume_pc /*rcx*/)
// Reached by a jump from switch_to, never by a call: a call without its return would leave the
// return predictor one entry behind. Saves resume_pc and sp in *from, goes on at *to, which is
// another context. Clobbers rax; rdx arrives as the resumer left it. Runs on both stacks.
// The new sp is loaded before anything is stored: behind a store whose address comes late the load
// would wait, and with it everything on the new stack (1.1 ns against up to 4.7, measured).
        .globl  __pirn_switch
        .hidden __pirn_switch
        .type   __pirn_switch, @function
        .p2align 4
__pirn_switch:
        .cfi_startproc
        .cfi_undefined rip              // not a frame: the wrapper's function is the frame
        movq    PIRN_CONTEXT_SP(%rsi), %rax
        movq    %rcx, PIRN_CONTEXT_PC(%rdi)
        movq    %rsp, PIRN_CONTEXT_SP(%rdi)
        movq    %rax, %rsp
        jmp     *PIRN_CONTEXT_PC(%rsi)  // an indirect jump: predicted by history, unlike ret
        .cfi_endproc
        .size   __pirn_switch, .-__pirn_switch

// void __pirn_jump(context* to /*rdi*/, void* word /*rdx*/)
// As __pirn_switch for a stack that will not go on: saves nothing.
        .globl  __pirn_jump
        .hidden __pirn_jump
        .type   __pirn_jump, @function
        .p2align 4
__pirn_jump:
        .cfi_startproc
        .cfi_undefined rip
        movq    PIRN_CONTEXT_SP(%rdi), %rsp
        jmp     *PIRN_CONTEXT_PC(%rdi)
        .cfi_endproc
        .size   __pirn_jump, .-__pirn_jump

// The first instruction of a new stack. In: rdx = the word (the closure), sp = the first frame
// of regs.h. Calls entry(word), which must not return. The unwinder ends here; an exception that
// gets here is shown to the personality first.
        .globl  __pirn_entry
        .hidden __pirn_entry
        .type   __pirn_entry, @function
        .p2align 4
__pirn_entry:
        .cfi_startproc
        .cfi_personality 0x1b, __pirn_entry_personality
        .cfi_def_cfa rsp, PIRN_FIRST_FRAME_BYTES
        .cfi_undefined rip
        LANDING
        xorl    %ebp, %ebp
        movq    %rdx, %rdi
        call    *PIRN_FIRST_FRAME_ENTRY(%rsp)
        ud2                             // entry returned
        .cfi_endproc
        .size   __pirn_entry, .-__pirn_entry

// void* __pirn_call_on(void* top /*rdi*/, void* (*fn)(void*) /*rsi*/, void* arg /*rdx*/)
// Calls fn(arg) on the stack that ends at top, returns its result. Keeps what the ABI keeps. The
// frame is found through rbp, so the unwinder crosses from the one stack to the other.
        .globl  __pirn_call_on
        .hidden __pirn_call_on
        .type   __pirn_call_on, @function
        .p2align 4
__pirn_call_on:
        .cfi_startproc
        LANDING
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register rbp
        movq    %rdi, %rsp
        movq    %rdx, %rdi
        call    *%rsi
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa rsp, 8
        ret
        .cfi_endproc
        .size   __pirn_call_on, .-__pirn_call_on

// void __pirn_restart_on(void* top /*rdi*/, void (*fn)(void*) /*rsi*/, void* arg /*rdx*/)
// Runs fn(arg) on the stack that ends at top. Does not return, and nothing unwinds past it.
        .globl  __pirn_restart_on
        .hidden __pirn_restart_on
        .type   __pirn_restart_on, @function
        .p2align 4
__pirn_restart_on:
        .cfi_startproc
        .cfi_undefined rip
        LANDING
        movq    %rdi, %rsp
        xorl    %ebp, %ebp
        movq    %rdx, %rdi
        call    *%rsi
        ud2                             // fn returned
        .cfi_endproc
        .size   __pirn_restart_on, .-__pirn_restart_on

// void* __pirn_call_as_if_at(const resume_point* at /*rdi*/, void* (*fn)(void*) /*rsi*/,
//                            void* arg /*rdx*/)
// Calls fn(arg) on the caller's stack, but in such a way that an unwinder started inside fn goes
// on at *at instead of at the caller: how a dump walks a parked stack. Keeps what the ABI keeps.
        .globl  __pirn_call_as_if_at
        .hidden __pirn_call_as_if_at
        .type   __pirn_call_as_if_at, @function
        .p2align 4
__pirn_call_as_if_at:
        .cfi_startproc
        LANDING
        pushq   %rbx
        .cfi_def_cfa_offset 16
        .cfi_offset rbx, -16
        movq    %rdi, %rbx
        movq    %rdx, %rdi
        .cfi_remember_state
        .cfi_undefined rbx
        .cfi_escape 0x0f, 3, 0x73, PIRN_RESUME_POINT_SP, 0x06   // CFA = *(rbx + SP)
        .cfi_escape 0x10, 16, 2, 0x73, PIRN_RESUME_POINT_PC     // rip is saved at rbx + PC
        .cfi_escape 0x10, 6, 2, 0x73, PIRN_RESUME_POINT_FP      // rbp is saved at rbx + FP
        call    *%rsi
        .cfi_restore_state
        popq    %rbx
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
        .size   __pirn_call_as_if_at, .-__pirn_call_as_if_at

#if defined(__CET__)
// Says that this object keeps indirect-branch tracking (1). Not shadow stacks (2): a switch does
// not carry them.
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5
        .string "GNU"
        .long   0xc0000002, 4, (__CET__ & 1), 0
#endif
        .section .note.GNU-stack, "", @progbits
