// SPDX-License-Identifier: MIT
// x86-64: the registers around a call.
//
// void growth_snapshot_KIND(void (*f)(), unsigned char* bytes)
//   rdi: f, rsi: bytes. Loads every register but rsp from the bytes, calls f, stores
//   the registers there. Preserves what the calling convention says. Takes 88 bytes of stack.
//
// The bytes: rax, rcx, rdx, rbx, rbp, rsi, rdi, r8 to r15 (8 bytes each), 8 unused ones, then the
// vector registers, then for AVX-512 the mask registers.
//
// Such a routine is its own __split$ name, so that it runs on the caller's small block and it is
// f's entry check that hops. What it takes fits into the reserve below any limit.

        .text

.macro each_word what
        \what 0, rax
        \what 8, rcx
        \what 16, rdx
        \what 24, rbx
        \what 32, rbp
        \what 40, rsi
        \what 56, r8
        \what 64, r9
        \what 72, r10
        \what 80, r11
        \what 88, r12
        \what 96, r13
        \what 104, r14
        \what 112, r15
.endm
// By way of rdi, which is loaded last and stored first.
.macro load_word at, register
        movq \at(%rdi), %\register
.endm
.macro store_word at, register
        movq %\register, \at(%rdi)
.endm

.macro each_vector what, move, kind, size, count
        .set n, 0
        .rept \count
        \what \move, \kind, \size, %n
        .set n, n + 1
        .endr
.endm
.altmacro
.macro load_vector move, kind, size, number
        \move 128 + \size * \number(%rdi), %\kind\number
.endm
.macro store_vector move, kind, size, number
        \move %\kind\number, 128 + \size * \number(%rdi)
.endm
.macro load_mask move, kind, size, number
        \move 2176 + \size * \number(%rdi), %\kind\number
.endm
.macro store_mask move, kind, size, number
        \move %\kind\number, 2176 + \size * \number(%rdi)
.endm

.macro routine name, move, kind, size, count, masks
        .p2align 4
        .skip 12
        .long 0x504952A5
        .globl \name
        .hidden \name
        .globl __split$\name
        .hidden __split$\name
        .type \name, @function
\name:
__split$\name:
        .cfi_startproc
        endbr64
        pushq %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        pushq %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        pushq %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r12, 0
        pushq %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r13, 0
        pushq %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r14, 0
        pushq %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %r15, 0
        subq $24, %rsp
        .cfi_adjust_cfa_offset 24
        movq %rdi, (%rsp)
        movq %rsi, 8(%rsp)
        movq %rsi, %rdi
        each_vector load_vector, \move, \kind, \size, \count
        each_vector load_mask, kmovq, k, 8, \masks
        each_word load_word
        movq 48(%rdi), %rdi
        call *(%rsp)
        movq %rdi, 16(%rsp)
        movq 8(%rsp), %rdi
        each_word store_word
        each_vector store_vector, \move, \kind, \size, \count
        each_vector store_mask, kmovq, k, 8, \masks
        movq 16(%rsp), %rax
        movq %rax, 48(%rdi)
        addq $24, %rsp
        .cfi_adjust_cfa_offset -24
        popq %r15
        .cfi_adjust_cfa_offset -8
        popq %r14
        .cfi_adjust_cfa_offset -8
        popq %r13
        .cfi_adjust_cfa_offset -8
        popq %r12
        .cfi_adjust_cfa_offset -8
        popq %rbp
        .cfi_adjust_cfa_offset -8
        popq %rbx
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size \name, . - \name
.endm

        routine growth_snapshot_sse, movups, xmm, 16, 16, 0
        routine growth_snapshot_avx, vmovups, ymm, 32, 16, 0
        routine growth_snapshot_avx512, vmovups, zmm, 64, 32, 8

        .section .note.GNU-stack, "", @progbits
