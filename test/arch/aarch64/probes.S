// SPDX-License-Identifier: MIT
// aarch64: probes that see registers as they are, where C++ sees only values.

#ifdef __ARM_FEATURE_BTI_DEFAULT
#define LANDING hint 34                 // bti c
#else
#define LANDING
#endif

        .text

// unsigned long arch_test_callee_saved(void (*fn)(void*) /*x0*/, void* arg /*x1*/,
//                                      unsigned long seed /*x2*/)
// Calls fn(arg) with seed + 1, seed + 2, … in every register that fn has to keep. Returns how many
// of them it did not. Runs on the caller's stack, which holds from sp upwards: x29 and x30, the
// seed, x19-x28, d8-d15.
        .globl  arch_test_callee_saved
        .hidden arch_test_callee_saved
        .type   arch_test_callee_saved, %function
        .p2align 4
arch_test_callee_saved:
        .cfi_startproc
        LANDING
        stp     x29, x30, [sp, #-176]!
        .cfi_def_cfa_offset 176
        .cfi_offset x29, -176
        .cfi_offset x30, -168
        str     x2, [sp, #16]
        stp     x19, x20, [sp, #32]
        stp     x21, x22, [sp, #48]
        stp     x23, x24, [sp, #64]
        stp     x25, x26, [sp, #80]
        stp     x27, x28, [sp, #96]
        stp     d8, d9, [sp, #112]
        stp     d10, d11, [sp, #128]
        stp     d12, d13, [sp, #144]
        stp     d14, d15, [sp, #160]
        .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
        .cfi_offset x\n, -144 + (\n - 19) * 8
        .endr
        .irp    n, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_offset d\n, -64 + (\n - 8) * 8
        .endr
        .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        add     x2, x2, #1
        mov     x\n, x2
        .endr
        .irp    n, 8, 9, 10, 11, 12, 13, 14, 15
        add     x2, x2, #1
        fmov    d\n, x2
        .endr
        mov     x8, x0
        mov     x0, x1
        blr     x8
        ldr     x2, [sp, #16]
        mov     x0, #0
        .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        add     x2, x2, #1
        cmp     x\n, x2
        cinc    x0, x0, ne
        .endr
        .irp    n, 8, 9, 10, 11, 12, 13, 14, 15
        add     x2, x2, #1
        fmov    x3, d\n
        cmp     x3, x2
        cinc    x0, x0, ne
        .endr
        ldp     x19, x20, [sp, #32]
        ldp     x21, x22, [sp, #48]
        ldp     x23, x24, [sp, #64]
        ldp     x25, x26, [sp, #80]
        ldp     x27, x28, [sp, #96]
        ldp     d8, d9, [sp, #112]
        ldp     d10, d11, [sp, #128]
        ldp     d12, d13, [sp, #144]
        ldp     d14, d15, [sp, #160]
        .irp    n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28
        .cfi_restore x\n
        .endr
        .irp    n, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_restore d\n
        .endr
        ldp     x29, x30, [sp], #176
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        ret
        .cfi_endproc
        .size   arch_test_callee_saved, .-arch_test_callee_saved

// void* arch_test_call_sp(void*)
// Returns the stack pointer as it was before the call.
        .globl  arch_test_call_sp
        .hidden arch_test_call_sp
        .type   arch_test_call_sp, %function
        .p2align 4
arch_test_call_sp:
        .cfi_startproc
        LANDING
        mov     x0, sp
        ret
        .cfi_endproc
        .size   arch_test_call_sp, .-arch_test_call_sp

// void arch_test_first_entry(void (**word)(void* word, void* sp) /*x0*/)
// The entry function of a context: passes on the word and the stack pointer before its call.
        .globl  arch_test_first_entry
        .hidden arch_test_first_entry
        .type   arch_test_first_entry, %function
        .p2align 4
arch_test_first_entry:
        .cfi_startproc
        LANDING
        mov     x1, sp
        ldr     x16, [x0]
        br      x16
        .cfi_endproc
        .size   arch_test_first_entry, .-arch_test_first_entry

#ifdef __ARM_FEATURE_BTI_DEFAULT
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5
        .string "GNU"
        .long   0xc0000000, 4, 1, 0
#endif
        .section .note.GNU-stack, "", %progbits
