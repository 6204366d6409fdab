# SPDX-License-Identifier: MIT
"""Frames: writes to sp, constants, loops that probe, alignment, inline assembly, TLS."""

from rewriting import ARM, X86, function


def case_pushes_and_subtractions_add_up(p):
    body = ("pushq %rbp\npushq %rbx\nsubq $40, %rsp\ncall g\naddq $40, %rsp\n"
            "popq %rbx\npopq %rbp\nret")
    p.rewrite(X86, function("f", body, cfi=False)).frame("f", frame=56, need=64, dynamic=False)
    body = ("stp x29, x30, [sp, -32]!\nstr x19, [sp, 16]\nsub sp, sp, #4096\nbl g\n"
            "add sp, sp, 4096\nldp x29, x30, [sp], 32\nret")
    p.rewrite(ARM, function("f", body, cfi=False)).frame("f", frame=4128, dynamic=False)


def case_unwind_information_counts_where_it_says_more(p):
    body = "subq $8, %rsp\n.cfi_def_cfa_offset 816\ncall g\naddq $8, %rsp\nret"
    p.rewrite(X86, function("f", body)).frame("f", frame=808)


def case_stale_constants(p):
    """gcc -O0: the constant that was in %rax is not what the subtraction takes."""
    body = ("pushq %rbp\nmovq %rsp, %rbp\nmovl $16, %eax\nsubq $1, %rax\naddq %rdx, %rax\n"
            "subq %rax, %rsp\ncall g\nleave\nret")
    p.rewrite(X86, function("f", body)).frame("f", dynamic=True).has(
        "subq %rax, %rsp", "cmpq %fs:0x70, %rsp", "js __pirn_alloca_overflow")
    known = "movl $5000, %eax\nsubq %rax, %rsp\ncall g\naddq $5000, %rsp\nret"
    p.rewrite(X86, function("f", known)).frame("f", frame=5000, dynamic=False)
    for between in ("call h", "divq %rcx", "cpuid", "movzbl (%rdi), %eax", "cltq",
                    "xchgq %rax, %rcx", ".L1:\nmovl $7, %eax\ncmpl $3, %edi\nje .L1",
                    "#APP\nnop\n#NO_APP"):
        stale = known.replace("subq %rax", between + "\nsubq %rax")
        if between.startswith(".L1"):  # a label: others may come with other values
            stale = "movl $5000, %eax\nje .L2\nmovl $6, %eax\n.L2:\nsubq %rax, %rsp\ncall g\nret"
        p.rewrite(X86, function("f", stale)).frame("f", dynamic=True)


def case_stale_constants_on_aarch64(p):
    known = "mov x12, 20016\nsub sp, sp, x12\nbl g\nmov x12, 20016\nadd sp, sp, x12\nret"
    p.rewrite(ARM, function("f", known)).frame("f", frame=20016, dynamic=False)
    for between in ("bl h", "ldr x12, [x0]", "ldp x11, x12, [x0]", "add x12, x12, x3",
                    "csel x12, x1, x2, eq"):
        p.rewrite(ARM, function("f", known.replace("sub sp", between + "\nsub sp"))).frame(
            "f", dynamic=True)


def case_alloca_gets_a_need_and_a_test(p):
    body = ("stp x29, x30, [sp, -16]!\nmov x29, sp\nsub sp, sp, x0\nmov x0, sp\nbl g\n"
            "mov sp, x29\nldp x29, x30, [sp], 16\nret")
    p.rewrite(ARM, function("f", body)).frame("f", need=16 + 65536, dynamic=True).has(
        "sub sp, sp, x0", "mrs x16, tpidr_el0", "ldr x16, [x16, 8]", "mov x17, sp",
        "sub x17, x17, x16", "tbz x17, 63, .Lpirn_t0", "b __pirn_alloca_overflow", ".Lpirn_t0:")
    # x16 and x17 are in use: others serve.
    used = body.replace("mov x0, sp", "add x0, x16, x17\nmov x15, 1\nmov x13, 1")
    p.rewrite(ARM, function("f", used)).has("sub sp, sp, x0", "mrs x15, tpidr_el0")


def case_flags_that_are_in_use_are_kept(p):
    body = ("pushq %rbp\nmovq %rsp, %rbp\ncmpl $3, %edi\nmovq %rax, %rsp\nje .L1\n"
            "call g\n.L1:\nleave\nret")
    p.rewrite(X86, function("f", body)).has(
        "pushfq", "cmpq %fs:0x70, %rax", "js __pirn_alloca_overflow", "popfq", "movq %rax, %rsp")


def case_over_aligned_frames(p):
    body = "pushq %rbp\nmovq %rsp, %rbp\nandq $-64, %rsp\nsubq $128, %rsp\ncall g\nleave\nret"
    p.rewrite(X86, function("f", body)).frame("f", frame=8 + 56 + 128, dynamic=False)
    # gcc writes an alignment to 256 so.
    p.rewrite(X86, function("f", body.replace("andq $-64, %rsp", "movb $0, %spl"))).frame(
        "f", frame=8 + 248 + 128, dynamic=False)
    body = ("stp x29, x30, [sp, -16]!\nmov x29, sp\nsub x9, sp, #112\n"
            "and sp, x9, #0xffffffffffffffc0\nbl g\nmov sp, x29\nldp x29, x30, [sp], 16\nret")
    p.rewrite(ARM, function("f", body)).frame("f", frame=16 + 112 + 48, dynamic=False)


def case_dynamic_realignment_pointer(p):
    """gcc reaches the arguments of an over-aligned function through %r10."""
    body = ("leaq 8(%rsp), %r10\n.cfi_def_cfa 10, 0\nandq $-32, %rsp\npushq -8(%r10)\npushq %rbp\n"
            "movq %rsp, %rbp\n.cfi_escape 0x10,0x6,0x2,0x76,0\npushq %r10\n"
            ".cfi_escape 0xf,0x3,0x76,0x78,0x6\nsubq $72, %rsp\ncall g\nmovq -8(%rbp), %r10\n"
            ".cfi_def_cfa 10, 0\naddq $72, %rsp\npopq %rbp\nleaq -8(%r10), %rsp\n"
            ".cfi_def_cfa 7, 8\nret")
    p.rewrite(X86, function("f", body)).frame("f", frame=24 + 8 + 8 + 8 + 72, dynamic=False)


def case_stack_clash_loops(p):
    """sp goes down page by page; what it is compared with says how far."""
    body = ("leaq -98304(%rsp), %r11\n.cfi_def_cfa 11, 98312\n.LPSRL0:\nsubq $4096, %rsp\n"
            "orq $0, (%rsp)\ncmpq %r11, %rsp\njne .LPSRL0\n.cfi_def_cfa_register 7\n"
            "subq $1704, %rsp\n.cfi_def_cfa_offset 100016\ncall g\naddq $100008, %rsp\nret")
    p.rewrite(X86, function("f", body)).frame("f", frame=100008, dynamic=False)
    bare = "\n".join(line for line in body.splitlines() if not line.startswith(".cfi"))
    p.rewrite(X86, function("f", bare, cfi=False)).frame("f", frame=100008, dynamic=False)
    body = ("mov x12, 65536\nsub x12, sp, x12\n.LPSRL0:\nsub sp, sp, 4096\nstr xzr, [sp, 1024]\n"
            "cmp sp, x12\nb.ne .LPSRL0\nsub sp, sp, #48\nbl g\nret")
    p.rewrite(ARM, function("f", body, cfi=False)).frame("f", frame=65536 + 48, dynamic=False)


def case_stack_clash_loop_of_unknown_length(p):
    body = ("pushq %rbp\nmovq %rsp, %rbp\n.L3:\ncmpq %rdx, %rsp\nje .L4\nsubq $4096, %rsp\n"
            "orq $0, 4088(%rsp)\njmp .L3\n.L4:\ncall g\nleave\nret")
    p.rewrite(X86, function("f", body)).frame("f", dynamic=True).has(
        "subq $4096, %rsp", "cmpq %fs:0x70, %rsp", "js __pirn_alloca_overflow")


def case_depth_follows_the_text(p):
    """Behind a return, what is known comes from the jump that leads there."""
    body = ("subq $24, %rsp\nje .L2\naddq $24, %rsp\nret\n.L2:\nsubq $200, %rsp\ncall g\n"
            "addq $224, %rsp\nret")
    p.rewrite(X86, function("f", body, cfi=False)).frame("f", frame=224)
    body = ("subq $24, %rsp\n.cfi_def_cfa_offset 32\ncall g\naddq $24, %rsp\n.cfi_remember_state\n"
            ".cfi_def_cfa_offset 8\nret\n.L7:\n.cfi_restore_state\nsubq $100, %rsp\ncall g\nret")
    p.rewrite(X86, function("f", body)).frame("f", frame=124)


def in_two_parts(hot, cold):
    """f, with a cold partition as gcc sets it: its label stands before its unwind directives."""
    return ("\t.text\n\t.globl f\n\t.type f, %function\nf:\n.LFB0:\n\t.cfi_startproc\n" + hot +
            '\n\t.cfi_endproc\n\t.section .text.unlikely,"ax",%progbits\n\t.cfi_startproc\n'
            "\t.type f.cold, %function\nf.cold:\n.LFSB0:\n" + cold + "\n\t.cfi_endproc\n.LFE0:\n"
            "\t.text\n\t.size f, .-f\n\t.section .text.unlikely\n\t.size f.cold, .-f.cold\n")


def case_a_cold_landing_pad_pushes_arguments(p):
    """What it starts with is the frame, by whatever register the unwind information counts it."""
    by_frame = ("pushq %rbp\n.cfi_def_cfa_offset 16\nmovq %rsp, %rbp\n.cfi_def_cfa_register 6\n"
                "pushq %rbx\nsubq $72, %rsp\n.L7:\n.LEHB0:\ncall h\n.LEHE0:\nmovq -8(%rbp), %rbx\n"
                "leave\n.cfi_def_cfa 7, 8\nret")
    pushes = "pushq %rdx\npushq %rax\n.cfi_escape 0x2e,0x10\ncall g\naddq $16, %rsp\njmp .L7"
    cold = ".L3:\n.cfi_def_cfa 6, 16\n.L5:\n.cfi_offset 3, -24\n" + pushes
    p.rewrite(X86, in_two_parts(by_frame, cold)).frame("f", frame=88 + 16)
    # A second one starts where the first did.
    cold += "\n.L6:\n.L8:\n" + pushes
    p.rewrite(X86, in_two_parts(by_frame, cold)).frame("f", frame=88 + 16)
    by_sp = ("subq $72, %rsp\n.cfi_def_cfa_offset 80\n.L7:\ncall h\naddq $72, %rsp\n"
             ".cfi_def_cfa_offset 8\nret")
    cold = (".L3:\n.cfi_def_cfa_offset 80\npushq %rdx\n.cfi_def_cfa_offset 88\npushq %rax\n"
            ".cfi_def_cfa_offset 96\ncall g\naddq $16, %rsp\n.cfi_def_cfa_offset 80\njmp .L7")
    p.rewrite(X86, in_two_parts(by_sp, cold)).frame("f", frame=72 + 16)


def case_a_cold_landing_pad_pushes_arguments_on_aarch64(p):
    hot = ("stp x29, x30, [sp, -96]!\n.cfi_def_cfa_offset 96\nmov x29, sp\n.L7:\nbl h\n"
           "ldp x29, x30, [sp], 96\n.cfi_def_cfa_offset 0\nret")
    cold = ".L3:\n{}\nsub sp, sp, #32\nstr x0, [sp]\nbl g\nadd sp, sp, 32\nb .L7"
    for begins in (".cfi_def_cfa 29, 96", ".cfi_def_cfa_offset 96"):
        p.rewrite(ARM, in_two_parts(hot, cold.format(begins))).frame("f", frame=96 + 32)


def case_a_landing_pad_behind_a_return(p):
    """clang's, and gcc's without a cold partition: the state of the return does not hold there."""
    body = ("pushq %rbp\n.cfi_def_cfa_offset 16\nmovq %rsp, %rbp\n.cfi_def_cfa_register %rbp\n"
            "subq $80, %rsp\n.LBB0_8:\ncallq h\n{}addq $80, %rsp\npopq %rbp\n"
            ".cfi_def_cfa %rsp, 8\n{}retq\n.LBB0_5:\n.Ltmp7:\n{}\n.cfi_escape 0x2e, 0x20\n"
            "pushq $8\npushq $7\npushq $6\npushq $5\ncallq g\naddq $32, %rsp\njmp .LBB0_8")
    clang = body.format("", "", ".cfi_def_cfa %rbp, 16")
    p.rewrite(X86, function("f", clang)).frame("f", frame=88 + 32)
    gcc = body.format(".cfi_remember_state\n", "", ".cfi_restore_state")
    p.rewrite(X86, function("f", gcc)).frame("f", frame=88 + 32)
    # A jump where the frame is gone says nothing of those who come from calls.
    jump = body.format("", "testq %rdi, %rdi\nje .LBB0_9\n", ".cfi_def_cfa %rbp, 16")
    jump += "\n.LBB0_9:\n.cfi_def_cfa %rsp, 8\nretq"
    p.rewrite(X86, function("f", jump)).frame("f", frame=88 + 32)
    arm = ("sub sp, sp, #96\n.cfi_def_cfa_offset 96\nstp x29, x30, [sp, #80]\nadd x29, sp, #80\n"
           ".cfi_def_cfa w29, 16\n.cfi_remember_state\n.LBB0_2:\nbl h\n.cfi_def_cfa wsp, 96\n"
           "ldp x29, x30, [sp, #80]\nadd sp, sp, #96\n.cfi_def_cfa_offset 0\nret\n.LBB0_4:\n"
           ".Ltmp7:\n.cfi_restore_state\nsub sp, sp, #32\nstr x8, [sp]\nbl g\nadd sp, sp, #32\n"
           "b .LBB0_2")
    p.rewrite(ARM, function("f", arm)).frame("f", frame=96 + 32)


def case_writes_that_are_not_understood(p):
    for line in ("movl %eax, %esp", "orq $3, %rsp", "popq %rsp", "xchgq %rax, %rsp", "enter $8, $0",
                 "cmovneq %rax, %rsp"):
        p.refuse(X86, function("f", line + "\nret"), line, "a write to the stack pointer")
    for line in ("orr sp, x1, 16", "bic sp, x1, x2", "ldr x0, [sp], x1"):
        p.refuse(ARM, function("f", line + "\nret"), line, "a write to the stack pointer")


def case_vectors_of_unknown_length(p):
    body = "addvl sp, sp, #-3\nbl g\naddvl sp, sp, #3\nret"
    p.rewrite(ARM, "\t.arch armv8-a+sve\n" + function("f", body)).frame(
        "f", frame=3 * 256, dynamic=False)


def case_inline_assembly(p):
    def with_asm(*lines):
        return function("f", "\n".join(["#APP", *lines, "#NO_APP", "ret"]))
    p.rewrite(X86, with_asm("lock; incl (%rdi)", "1: jmp 1b", "jmp .L9", ".L9:")).frame(
        "f", need=0, dynamic=False)
    for line in ("call g", "pushq %rax", "subq $128, %rsp", "syscall", "jmp g", "popfq"):
        p.rewrite(X86, with_asm(line)).frame("f", dynamic=True)
    for line in ("bl g", "svc 0", "str x0, [sp, -16]!", "br x1", "b g"):
        p.rewrite(ARM, with_asm(line)).frame("f", dynamic=True)
    p.rewrite(ARM, with_asm("1: ldxr w0, [x1]", "cbnz w0, 1b", "b 1b")).frame("f", dynamic=False)


def case_inline_assembly_says_its_need(p):
    asm = '#APP\n# 3 "a.cc" 1\n.pirn_need {}\ncall g\n# 0 "" 2\n#NO_APP\nret'
    p.rewrite(X86, function("f", asm.format(0))).frame("f", need=0, dynamic=False).lacks(
        ".pirn_need", "morestack").has("call g")
    p.rewrite(X86, function("f", asm.format(500))).frame("f", need=500, dynamic=False)
    two = asm.replace('# 0 "" 2', '# 0 "" 2\n# 4 "a.cc" 1\ncall h\n# 0 "" 2')
    p.rewrite(X86, function("f", two.format(0))).frame("f", dynamic=True)
    p.refuse(X86, function("f", ".pirn_need 3\nret"), "within inline assembly")


def case_tls_sequences_stay(p):
    general = (".byte 0x66\nleaq x@tlsgd(%rip), %rdi\n.value 0x6666\nrex64\n"
               "call __tls_get_addr@PLT\nret")
    p.rewrite(X86, function("f", general)).frame("f", dynamic=True).has(
        "rex64", "call __tls_get_addr@PLT")
    described = "leaq x@TLSDESC(%rip), %rax\ncall *x@TLSCALL(%rax)\nret"
    p.rewrite(X86, function("f", described)).frame("f", dynamic=True).has("call *x@TLSCALL(%rax)")
    p.rewrite(X86, function("f", "call *__tls_get_addr@GOTPCREL(%rip)\nret")).has(
        "call *__tls_get_addr@GOTPCREL(%rip)").frame("f", dynamic=True)
    arm = ("adrp x0, :tlsdesc:x\nldr x1, [x0, #:tlsdesc_lo12:x]\nadd x0, x0, :tlsdesc_lo12:x\n"
           ".tlsdesccall x\nblr x1\nret")
    p.rewrite(ARM, function("f", arm)).frame("f", dynamic=True).has(".tlsdesccall x", "blr x1")


def case_setjmp(p):
    body = "subq $8, %rsp\ncall _setjmp@PLT\nendbr64\ntestl %eax, %eax\nret"
    p.rewrite(X86, function("f", body)).has(
        "call _setjmp@PLT", "endbr64", "call __pirn_fixlimit", "testl %eax, %eax")
    p.rewrite(X86, function("f", "call *_setjmp@GOTPCREL(%rip)\nret")).has(
        "call *_setjmp@GOTPCREL(%rip)", "call __pirn_fixlimit")
    p.rewrite(ARM, function("f", "bl _setjmp\nhint 36\nret")).has(
        "bl _setjmp", "hint 36", "bl __pirn_fixlimit")
    p.refuse(X86, function("f", "movq _setjmp@GOTPCREL(%rip), %rbx\nret"), "a pointer to setjmp")
    p.refuse(ARM, function("f", "adrp x0, :got:setjmp\nldr x0, [x0, :got_lo12:setjmp]\nret"),
             "a pointer to setjmp")
    p.refuse(X86, "\t.data\n\t.quad setjmp\n", "a pointer to setjmp")
