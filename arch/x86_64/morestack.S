// SPDX-License-Identifier: MIT
// x86-64: growth. A call that does not fit on the stack it is made on goes on on a segment, and
// comes back to its caller when it returns.
//
// Two things come here by a jump, with the return address of the call still on top of the stack:
// the check at a function's entry, and a call of code that did not go through the pass. Every
// register but the flags is as it was when the callee starts (r11 excepted) and when the caller
// goes on: compilers keep values in any register that they know a callee not to touch.
//
// During a hop rbp is the segment, whose upper end is the record of the hop (regs.h). The fast
// path takes the first segment of the thread's cache; the slow path has the run time put one there.
#include "regs.h"

#if defined(__CET__) && (__CET__ & 1)
#define LANDING endbr64
#else
#define LANDING
#endif

// What both ways in have pushed when they meet, from rsp on:
//   0 rdi   8 rsi   16 rcx   24 rax   32 r11   40 r10   48 return address   56 stack arguments
#define SAVED_RDI 0
#define SAVED_RSI 8
#define SAVED_RCX 16
#define SAVED_RAX 24
#define SAVED_R10 40
#define RETURN_ADDRESS 48
#define ARGUMENTS 56

// The rest of it, above r11, r10 and the return address.
.macro SAVE
        .irp    register, rax, rcx, rsi, rdi
        pushq   %\register
        .cfi_adjust_cfa_offset 8
        .endr
.endm

        .section pirn_text, "ax", %progbits

// Entered from a function's check: at the function's body (r10) goes on what needs at most
// PIRN_COMMON_NEED_BYTES and reads no stack arguments. On the stack: r10, return address.
        .globl  __pirn_morestack0
        .protected __pirn_morestack0
        .type   __pirn_morestack0, @function
        .p2align 4
__pirn_morestack0:
        .cfi_startproc
        .cfi_personality 0x1b, __pirn_hop_personality
        .cfi_def_cfa_offset 16
        pushq   %r11
        .cfi_def_cfa_offset 24
        SAVE
        movl    $PIRN_COMMON_NEED_BYTES, %ecx

// rcx = bytes needed, r10 = where to go on. Without stack arguments.
.Lhop:
        movq    __pirn_thread@GOTTPOFF(%rip), %rsi
        movq    %fs:(%rsi), %rsi
        testq   %rsi, %rsi
        jz      .Lstray
        cmpq    $PIRN_GIVE_WAY, %fs:PIRN_LIMIT_WORD
        je      .Lslow
        movq    PIRN_THREAD_SEGMENTS(%rsi), %rdi
        testq   %rdi, %rdi
        jz      .Lslow
        cmpq    %rcx, PIRN_SEGMENT_ROOM(%rdi)
        jb      .Lslow
        subq    $1, PIRN_THREAD_HOPS_LEFT(%rsi)
        jc      .Lslow
        // The new sp lies as the old one does in its cache line: over-aligned arguments and
        // frames that count on 16 bytes find what they found. There are 32 bytes above it, which
        // functions of the other calling convention (ms_abi) may write.
        leaq    ARGUMENTS(%rsp), %r11
        andl    $63, %r11d
        leaq    -128(%rdi,%r11), %r11
        movq    PIRN_SEGMENT_NEXT(%rdi), %rcx
        movq    %rcx, PIRN_THREAD_SEGMENTS(%rsi)

// rdi = the segment, rsi = the thread, r11 = the new sp, r10 = where to go on. Debuggers let a
// stack go on anywhere else from a function of this name, and from no other.
        .set    __morestack, .Lgo
        .type   __morestack, @function
.Lgo:
        movq    PIRN_THREAD_CUR(%rsi), %rcx
        movq    %rbp, PIRN_SEGMENT_FP(%rdi)
        movq    %r10, PIRN_SEGMENT_RA(%rdi)
        leaq    RETURN_ADDRESS(%rsp), %rax
        movq    %rax, PIRN_SEGMENT_SP(%rdi)
        movq    PIRN_GROWTH_LIMIT(%rcx), %rax
        movq    %rax, PIRN_SEGMENT_LIMIT_BEFORE(%rdi)
        movq    PIRN_GROWTH_HOPS(%rcx), %rax
        movq    %rax, PIRN_SEGMENT_BELOW(%rdi)
        movq    %rdi, PIRN_GROWTH_HOPS(%rcx)
        movq    PIRN_SEGMENT_LIMIT(%rdi), %rax
        movq    %rax, PIRN_GROWTH_LIMIT(%rcx)
        movq    %rdi, %rbp
        .cfi_remember_state
        .cfi_escape 0x0f, 5, 0x76, PIRN_SEGMENT_SP, 0x06, 0x23, 8   // CFA = *(rbp + SP) + 8
        .cfi_escape 0x10, 6, 2, 0x76, PIRN_SEGMENT_FP               // rbp is saved at rbp + FP
        movq    SAVED_R10(%rsp), %r10
        movq    SAVED_RDI(%rsp), %rdi
        movq    SAVED_RSI(%rsp), %rsi
        movq    SAVED_RCX(%rsp), %rcx
        movq    %rax, %fs:PIRN_LIMIT_WORD
        movq    SAVED_RAX(%rsp), %rax
        movq    %r11, %rsp
        call    *PIRN_SEGMENT_RA(%rbp)

        // Back, perhaps on another thread. The saved registers still lie below the old sp.
        movq    PIRN_SEGMENT_SP(%rbp), %rsp
        movq    %rax, SAVED_RAX - RETURN_ADDRESS(%rsp)
        movq    %rcx, SAVED_RCX - RETURN_ADDRESS(%rsp)
        movq    __pirn_thread@GOTTPOFF(%rip), %r11
        movq    %fs:(%r11), %r11
        movq    PIRN_THREAD_CUR(%r11), %r10
        movq    PIRN_SEGMENT_LIMIT_BEFORE(%rbp), %rax
        movq    PIRN_SEGMENT_BELOW(%rbp), %rcx
        movq    %rax, PIRN_GROWTH_LIMIT(%r10)
        movq    %rcx, PIRN_GROWTH_HOPS(%r10)
        movq    PIRN_THREAD_SEGMENTS(%r11), %rcx
        movq    %rcx, PIRN_SEGMENT_NEXT(%rbp)
        movq    %rbp, PIRN_THREAD_SEGMENTS(%r11)
        movq    %rax, %fs:PIRN_LIMIT_WORD
        movq    PIRN_SEGMENT_FP(%rbp), %rbp
        .cfi_def_cfa rsp, 8
        .cfi_restore rbp
        movq    SAVED_RAX - RETURN_ADDRESS(%rsp), %rax
        movq    SAVED_RCX - RETURN_ADDRESS(%rsp), %rcx
        movq    SAVED_R10 - RETURN_ADDRESS(%rsp), %r10
        movq    SAVED_R10 - 8 - RETURN_ADDRESS(%rsp), %r11
        ret
        .cfi_restore_state

// As .Lhop, with stack arguments: rax = how many bytes at the most; -1: all there are.
.Lhop_with_arguments:
        movq    __pirn_thread@GOTTPOFF(%rip), %rsi
        movq    %fs:(%rsi), %rsi
        testq   %rsi, %rsi
        jz      .Lstray
        // There are none above the upper end of the old stack.
        movq    PIRN_THREAD_CUR(%rsi), %rdi
        movq    PIRN_GROWTH_HOPS(%rdi), %r11
        testq   %r11, %r11
        cmovzq  %rdi, %r11
        leaq    ARGUMENTS(%rsp), %rdi
        subq    %rdi, %r11
        cmpq    %r11, %rax
        cmovaq  %r11, %rax
        addq    $7, %rax
        andq    $-8, %rax
        addq    %rax, %rcx              // the arguments lie on the segment too
        cmpq    $PIRN_GIVE_WAY, %fs:PIRN_LIMIT_WORD
        je      .Lslow_with_arguments
        movq    PIRN_THREAD_SEGMENTS(%rsi), %rdi
        testq   %rdi, %rdi
        jz      .Lslow_with_arguments
        cmpq    %rcx, PIRN_SEGMENT_ROOM(%rdi)
        jb      .Lslow_with_arguments
        subq    $1, PIRN_THREAD_HOPS_LEFT(%rsi)
        jc      .Lslow_with_arguments

// rdi = the segment, rsi = the thread, rax = how many bytes of arguments to copy, a multiple of 8.
.Ltake:
        movq    PIRN_SEGMENT_NEXT(%rdi), %rcx
        movq    %rcx, PIRN_THREAD_SEGMENTS(%rsi)
        // The new sp, congruent to the old one modulo 64.
        leaq    ARGUMENTS(%rsp), %rcx
        movq    %rdi, %r11
        subq    %rax, %r11
        subq    %rcx, %r11
        andq    $-64, %r11
        addq    %rcx, %r11
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
1:      testq   %rax, %rax
        jz      2f
        movq    -8(%rcx,%rax), %rsi
        movq    %rsi, -8(%r11,%rax)
        subq    $8, %rax
        jmp     1b
2:      popq    %rsi
        .cfi_adjust_cfa_offset -8
        jmp     .Lgo

// No segment at hand is large enough, or the run time wants to look at this hop, or have the
// goroutine give way: it is
// called, on the thread's own stack, with every register kept, the vector registers too. rcx =
// bytes needed.
.Lslow:
        xorl    %eax, %eax
.Lslow_with_arguments:
        movq    %rsp, %rdi
        movq    PIRN_THREAD_G0_SP(%rsi), %rsp
        andq    $-16, %rsp
        pushq   %rdi
        pushq   %rbp
        movq    %rsp, %rbp
        .cfi_remember_state
        .cfi_escape 0x0f, 5, 0x76, 8, 0x06, 0x23, ARGUMENTS     // CFA = *(rbp + 8) + ARGUMENTS
        .cfi_escape 0x10, 6, 2, 0x76, 0                         // rbp is saved at rbp
        pushq   %rax
        pushq   %r10
        pushq   %rdx
        pushq   %r8
        pushq   %r9
        movq    RETURN_ADDRESS(%rdi), %rsi
        movq    %rcx, %rdi
        subq    __pirn_vector_area_bytes(%rip), %rsp
        andq    $-64, %rsp
        movl    __pirn_vector_mask(%rip), %eax
        testl   %eax, %eax
        jz      3f
        xorl    %edx, %edx
        .irp    offset, 512, 520, 528, 536, 544, 552, 560, 568  // the header of the area
        movq    %rdx, \offset(%rsp)
        .endr
        xsave64 (%rsp)
        jmp     4f
3:      fxsave64 (%rsp)
4:      movq    $0, %fs:PIRN_LIMIT_WORD
        movq    %r10, %rdx
        cld
        call    *__pirn_add_segment(%rip)
        movl    __pirn_vector_mask(%rip), %eax
        testl   %eax, %eax
        jz      5f
        xorl    %edx, %edx
        xrstor64 (%rsp)
        jmp     6f
5:      fxrstor64 (%rsp)
6:      leaq    -40(%rbp), %rsp
        popq    %r9
        popq    %r8
        popq    %rdx
        popq    %r10
        popq    %rax
        popq    %rbp
        popq    %rsp
        .cfi_restore_state
        movq    __pirn_thread@GOTTPOFF(%rip), %rsi
        movq    %fs:(%rsi), %rsi
        movq    PIRN_THREAD_SEGMENTS(%rsi), %rdi
        jmp     .Ltake

// A thread that runs no goroutines has a limit: somebody else uses the word. On the thread's own
// stack, so there is room for the report.
.Lstray:
        movq    $0, %fs:PIRN_LIMIT_WORD
        andq    $-16, %rsp
        .weak   __pirn_stray_limit
        call    __pirn_stray_limit@PLT
        ud2
        .cfi_endproc
        .size   __morestack, .-.Lgo
        .size   __pirn_morestack0, .-__pirn_morestack0

// As __pirn_morestack0, for a function that may read any of its stack arguments. On the stack: r10,
// return address.
        .globl  __pirn_morestacka
        .protected __pirn_morestacka
        .type   __pirn_morestacka, @function
        .p2align 4
__pirn_morestacka:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        pushq   %r11
        .cfi_def_cfa_offset 24
        SAVE
        movl    $PIRN_COMMON_NEED_BYTES, %ecx
        movq    $-1, %rax
        jmp     .Lhop_with_arguments
        .cfi_endproc
        .size   __pirn_morestacka, .-__pirn_morestacka

// Entered from a function's check whose needs do not fit the common forms. r11d = bytes needed / 16
// (24 bits) and bytes of stack arguments / 16 above them, 255 for all there are. On the stack: r11,
// r10, return address.
        .globl  __pirn_morestack
        .protected __pirn_morestack
        .type   __pirn_morestack, @function
        .p2align 4
__pirn_morestack:
        .cfi_startproc
        .cfi_def_cfa_offset 24
        SAVE
        movl    %r11d, %ecx
        andl    $0xffffff, %ecx
        shlq    $4, %rcx
        shrl    $24, %r11d
        jz      .Lhop
        movl    %r11d, %eax
        shll    $4, %eax
        cmpl    $255, %r11d
        jne     .Lhop_with_arguments
        movq    $-1, %rax
        jmp     .Lhop_with_arguments
        .cfi_endproc
        .size   __pirn_morestack, .-__pirn_morestack

// Code that did not go through the pass (r11) does not have k_foreign_bytes here. No arguments on
// the stack. r10 and r11 are free at such a call.
        .globl  __pirn_foreign0
        .protected __pirn_foreign0
        .type   __pirn_foreign0, @function
        .p2align 4
__pirn_foreign0:
        .cfi_startproc
        pushq   %r10
        .cfi_def_cfa_offset 16
        movq    %r11, %r10
        pushq   %r11
        .cfi_def_cfa_offset 24
        SAVE
        movl    $PIRN_FOREIGN_BYTES, %ecx
        jmp     .Lhop
        .cfi_endproc
        .size   __pirn_foreign0, .-__pirn_foreign0

// As __pirn_foreign0, with at most r10d bytes of stack arguments; -1: all there are.
        .globl  __pirn_foreign
        .protected __pirn_foreign
        .type   __pirn_foreign, @function
        .p2align 4
__pirn_foreign:
        .cfi_startproc
        pushq   %r10
        .cfi_def_cfa_offset 16
        pushq   %r11
        .cfi_def_cfa_offset 24
        SAVE
        movslq  %r10d, %rax
        movq    %r11, %r10
        movl    $PIRN_FOREIGN_BYTES, %ecx
        jmp     .Lhop_with_arguments
        .cfi_endproc
        .size   __pirn_foreign, .-__pirn_foreign

// malloc and its kin, called by code that went through the pass: these names take the place of the
// thunks that its objects carry. They need little stack, and how little is known only at the start,
// when it is seen whose malloc it is (arch.h).
.macro SECOND_NAME prefix, name
        .globl  "\prefix\name"
        .hidden "\prefix\name"
        .type   "\prefix\name", @function
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
        leaq    -PIRN_FOREIGN_BYTES(%rsp), %r11
        cmpq    %fs:PIRN_LIMIT_WORD, %r11
        jb      9f
        jmp     \name@PLT
9:      movq    \name@GOTPCREL(%rip), %r11
        jmp     __pirn_foreign0
.endm
// To \otherwise where less is left than an allocation needs.
.macro CHECK_ALLOCATION otherwise
        movq    %rsp, %r11
        subq    __pirn_allocation_bytes(%rip), %r11
        cmpq    %fs:PIRN_LIMIT_WORD, %r11
        jb      \otherwise
.endm
.macro ALLOCATION name
        BEGIN_GATE \name
        CHECK_ALLOCATION 1f
        jmp     \name@PLT
1:      CALL_FOREIGN \name
        END_GATE \name
.endm
// operator new is malloc where it is the C++ library's own. It throws where that fails, which needs
// much more stack: then it is called itself.
.macro NEW name
        BEGIN_GATE \name
        cmpb    $0, __pirn_new_is_malloc(%rip)
        je      1f
        CHECK_ALLOCATION 1f
        pushq   %rdi
        .cfi_def_cfa_offset 16
        call    malloc@PLT
        popq    %rdi
        .cfi_def_cfa_offset 8
        testq   %rax, %rax
        jz      1f
        ret
1:      CALL_FOREIGN \name
        END_GATE \name
.endm
.macro DELETE name
        BEGIN_GATE \name
        cmpb    $0, __pirn_new_is_malloc(%rip)
        je      1f
        CHECK_ALLOCATION 1f
        jmp     \name@PLT
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

// void __pirn_call_large(void (*fn)(void*) /*rdi*/, void* arg /*rsi*/)
// A tail call of fn(arg) where k_foreign_bytes are left.
        .globl  __pirn_call_large
        .hidden __pirn_call_large
        .type   __pirn_call_large, @function
        .p2align 4
__pirn_call_large:
        .cfi_startproc
        LANDING
        movq    %rdi, %r11
        movq    %rsi, %rdi
        leaq    -PIRN_FOREIGN_BYTES(%rsp), %r10
        cmpq    %fs:PIRN_LIMIT_WORD, %r10
        jb      __pirn_foreign0
        jmp     *%r11
        .cfi_endproc
        .size   __pirn_call_large, .-__pirn_call_large

// Called right after setjmp has returned, perhaps by a longjmp from a segment that is left thereby:
// gives up the hops whose segments do not hold rsp. Keeps every register but the flags.
        .globl  __pirn_fixlimit
        .protected __pirn_fixlimit
        .type   __pirn_fixlimit, @function
        .p2align 4
__pirn_fixlimit:
        .cfi_startproc
        LANDING
        pushq   %rax
        .cfi_def_cfa_offset 16
        pushq   %rcx
        .cfi_def_cfa_offset 24
        pushq   %rsi
        .cfi_def_cfa_offset 32
        pushq   %rdi
        .cfi_def_cfa_offset 40
        movq    __pirn_thread@GOTTPOFF(%rip), %rsi
        movq    %fs:(%rsi), %rsi
        testq   %rsi, %rsi
        jz      4f
        movq    PIRN_THREAD_CUR(%rsi), %rcx
        testq   %rcx, %rcx
        jz      4f
1:      movq    PIRN_GROWTH_HOPS(%rcx), %rdi
        testq   %rdi, %rdi
        jz      2f
        cmpq    %rdi, %rsp              // above its upper end?
        jae     3f
        cmpq    PIRN_SEGMENT_LIMIT(%rdi), %rsp
        jae     2f
3:      movq    PIRN_SEGMENT_BELOW(%rdi), %rax
        movq    %rax, PIRN_GROWTH_HOPS(%rcx)
        movq    PIRN_SEGMENT_LIMIT_BEFORE(%rdi), %rax
        movq    %rax, PIRN_GROWTH_LIMIT(%rcx)
        movq    PIRN_THREAD_SEGMENTS(%rsi), %rax
        movq    %rax, PIRN_SEGMENT_NEXT(%rdi)
        movq    %rdi, PIRN_THREAD_SEGMENTS(%rsi)
        jmp     1b
2:      movq    PIRN_GROWTH_LIMIT(%rcx), %rax   // 0 after a jump out of a signal handler
        movq    %rax, %fs:PIRN_LIMIT_WORD
4:      popq    %rdi
        popq    %rsi
        popq    %rcx
        popq    %rax
        .cfi_def_cfa_offset 8
        ret
        .cfi_endproc
        .size   __pirn_fixlimit, .-__pirn_fixlimit

// Reached by a jump where alloca or a variable-length array has taken rsp below the limit: nothing
// may be stored there, so the report runs on the thread's own stack. Does not return.
        .globl  __pirn_alloca_overflow
        .protected __pirn_alloca_overflow
        .type   __pirn_alloca_overflow, @function
        .p2align 4
__pirn_alloca_overflow:
        .cfi_startproc
        .cfi_undefined rip
        movq    __pirn_thread@GOTTPOFF(%rip), %rsi
        movq    %fs:(%rsi), %rsi
        movq    %rsp, %rdi
        movq    PIRN_THREAD_G0_SP(%rsi), %rsp
        andq    $-16, %rsp
        movq    $0, %fs:PIRN_LIMIT_WORD
        call    *__pirn_alloca_report(%rip)
        ud2
        .cfi_endproc
        .size   __pirn_alloca_overflow, .-__pirn_alloca_overflow

#if defined(__CET__)
// Says that this object keeps indirect-branch tracking (1). Not shadow stacks (2): a hop does not
// carry them.
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4, 16, 5
        .string "GNU"
        .long   0xc0000002, 4, (__CET__ & 1), 0
#endif
        .section .note.GNU-stack, "", @progbits
