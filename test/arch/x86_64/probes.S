// SPDX-License-Identifier: MIT
// x86-64: probes that see registers as they are, where C++ sees only values.

#if defined(__CET__) && (__CET__ & 1)
#define LANDING endbr64
#else
#define LANDING
#endif

        .text

// unsigned long arch_test_callee_saved(void (*fn)(void*) /*rdi*/, void* arg /*rsi*/,
//                                      unsigned long seed /*rdx*/)
// Calls fn(arg) with seed + 1, seed + 2, … in every register that fn has to keep. Returns how many
// of them it did not. Runs on the caller's stack.
        .globl  arch_test_callee_saved
        .hidden arch_test_callee_saved
        .type   arch_test_callee_saved, @function
        .p2align 4
arch_test_callee_saved:
        .cfi_startproc
        LANDING
        .irp    reg, rbx, rbp, r12, r13, r14, r15, rdx
        pushq   %\reg
        .cfi_adjust_cfa_offset 8
        .endr
        .cfi_offset rbx, -16
        .cfi_offset rbp, -24
        .cfi_offset r12, -32
        .cfi_offset r13, -40
        .cfi_offset r14, -48
        .cfi_offset r15, -56
        .irp    reg, rbx, rbp, r12, r13, r14, r15
        incq    %rdx
        movq    %rdx, %\reg
        .endr
        movq    %rdi, %rax
        movq    %rsi, %rdi
        call    *%rax
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        xorl    %eax, %eax
        .irp    reg, rbx, rbp, r12, r13, r14, r15
        incq    %rdx
        xorl    %ecx, %ecx
        cmpq    %rdx, %\reg
        setne   %cl
        addq    %rcx, %rax
        .endr
        .irp    reg, r15, r14, r13, r12, rbp, rbx
        popq    %\reg
        .cfi_adjust_cfa_offset -8
        .cfi_restore \reg
        .endr
        ret
        .cfi_endproc
        .size   arch_test_callee_saved, .-arch_test_callee_saved

// void* arch_test_call_sp(void*)
// Returns the stack pointer as it was before the call.
        .globl  arch_test_call_sp
        .hidden arch_test_call_sp
        .type   arch_test_call_sp, @function
        .p2align 4
arch_test_call_sp:
        .cfi_startproc
        LANDING
        leaq    8(%rsp), %rax
        ret
        .cfi_endproc
        .size   arch_test_call_sp, .-arch_test_call_sp

// void arch_test_first_entry(void (**word)(void* word, void* sp) /*rdi*/)
// The entry function of a context: passes on the word and the stack pointer before its call.
        .globl  arch_test_first_entry
        .hidden arch_test_first_entry
        .type   arch_test_first_entry, @function
        .p2align 4
arch_test_first_entry:
        .cfi_startproc
        LANDING
        leaq    8(%rsp), %rsi
        jmp     *(%rdi)
        .cfi_endproc
        .size   arch_test_first_entry, .-arch_test_first_entry

#if defined(__CET__)
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5
        .string "GNU"
        .long   0xc0000002, 4, (__CET__ & 1), 0
#endif
        .section .note.GNU-stack, "", @progbits
