// SPDX-License-Identifier: MIT
// aarch64: the registers around a call.
//
// void growth_snapshot_KIND(void (*f)(), unsigned char* bytes)
//   x0: f, x1: bytes. Loads every register but x16, x17, x18 (the platform's), x30 and sp from the
//   bytes, calls f, stores the registers there. Preserves what the calling convention says. Takes
//   192 bytes of stack.
//
// The bytes: x0 to x15 (8 each), 24 unused ones, x19 to x29, then q0 to q31 (16 each) at 240; or z0
// to z31 from 256 on, in units of their length, and p0 to p15.
//
// Such a routine is its own __split$ name, so that it runs on the caller's small block and it is
// f's entry check that hops. What it takes fits into the reserve below any limit.

        .arch armv8-a+sve
        .text

// Everything but the vectors, by way of x17.
.macro load_words
        ldp x0, x1, [x17]
        ldp x2, x3, [x17, 16]
        ldp x4, x5, [x17, 32]
        ldp x6, x7, [x17, 48]
        ldp x8, x9, [x17, 64]
        ldp x10, x11, [x17, 80]
        ldp x12, x13, [x17, 96]
        ldp x14, x15, [x17, 112]
        ldr x19, [x17, 152]
        ldp x20, x21, [x17, 160]
        ldp x22, x23, [x17, 176]
        ldp x24, x25, [x17, 192]
        ldp x26, x27, [x17, 208]
        ldp x28, x29, [x17, 224]
.endm
.macro store_words
        stp x0, x1, [x17]
        stp x2, x3, [x17, 16]
        stp x4, x5, [x17, 32]
        stp x6, x7, [x17, 48]
        stp x8, x9, [x17, 64]
        stp x10, x11, [x17, 80]
        stp x12, x13, [x17, 96]
        stp x14, x15, [x17, 112]
        str x19, [x17, 152]
        stp x20, x21, [x17, 160]
        stp x22, x23, [x17, 176]
        stp x24, x25, [x17, 192]
        stp x26, x27, [x17, 208]
        stp x28, x29, [x17, 224]
.endm

.macro numbered what, number
        \what \number
.endm
.altmacro
.macro each what, count
        .set n, 0
        .rept \count
        numbered \what, %n
        .set n, n + 1
        .endr
.endm
.macro load_q number
        ldr q\number, [x17, 240 + 16 * \number]
.endm
.macro store_q number
        str q\number, [x17, 240 + 16 * \number]
.endm
// The predicates come after the vectors, eight of them in the space of one.
.macro load_z number
        ldr z\number, [x16, \number, mul vl]
.endm
.macro store_z number
        str z\number, [x16, \number, mul vl]
.endm
.macro load_p number
        ldr p\number, [x16, \number, mul vl]
.endm
.macro store_p number
        str p\number, [x16, \number, mul vl]
.endm

.macro all_q what
        each \what\()_q, 32
.endm
.macro all_z what
        add x16, x17, 256
        each \what\()_z, 32
        addvl x16, x16, 31
        addvl x16, x16, 1
        each \what\()_p, 16
.endm

.macro routine name, vectors
        .p2align 4
        .skip 12
        .inst 0x01504952
        .globl \name
        .hidden \name
        .globl __split$\name
        .hidden __split$\name
        .type \name, %function
\name:
__split$\name:
        .cfi_startproc
        hint 34
        stp x29, x30, [sp, -192]!
        .cfi_def_cfa_offset 192
        .cfi_offset 29, -192
        .cfi_offset 30, -184
        stp x19, x20, [sp, 16]
        .cfi_offset 19, -176
        .cfi_offset 20, -168
        stp x21, x22, [sp, 32]
        .cfi_offset 21, -160
        .cfi_offset 22, -152
        stp x23, x24, [sp, 48]
        .cfi_offset 23, -144
        .cfi_offset 24, -136
        stp x25, x26, [sp, 64]
        .cfi_offset 25, -128
        .cfi_offset 26, -120
        stp x27, x28, [sp, 80]
        .cfi_offset 27, -112
        .cfi_offset 28, -104
        stp d8, d9, [sp, 96]
        stp d10, d11, [sp, 112]
        stp d12, d13, [sp, 128]
        stp d14, d15, [sp, 144]
        str x1, [sp, 160]
        str x0, [sp, 168]
        mov x17, x1
        all_\vectors load
        load_words
        ldr x16, [sp, 168]
        blr x16
        ldr x17, [sp, 160]
        store_words
        all_\vectors store
        ldp d14, d15, [sp, 144]
        ldp d12, d13, [sp, 128]
        ldp d10, d11, [sp, 112]
        ldp d8, d9, [sp, 96]
        ldp x27, x28, [sp, 80]
        ldp x25, x26, [sp, 64]
        ldp x23, x24, [sp, 48]
        ldp x21, x22, [sp, 32]
        ldp x19, x20, [sp, 16]
        ldp x29, x30, [sp], 192
        .cfi_restore 30
        .cfi_restore 29
        .cfi_restore 28
        .cfi_restore 27
        .cfi_restore 26
        .cfi_restore 25
        .cfi_restore 24
        .cfi_restore 23
        .cfi_restore 22
        .cfi_restore 21
        .cfi_restore 20
        .cfi_restore 19
        .cfi_def_cfa_offset 0
        ret
        .cfi_endproc
        .size \name, . - \name
.endm

        routine growth_snapshot_simd, q
        routine growth_snapshot_sve, z

        .section .note.GNU-stack, "", %progbits
