# SPDX-License-Identifier: MIT
"""Arguments on the stack: those that a function is given, and those that it may pass."""

from rewriting import ARM, X86, function


def case_functions_that_pass_none_use_the_short_name(p):
    body = "pushq %rbp\npushq %rbx\nsubq $24, %rsp\nmovq %rdi, 8(%rsp)\ncall g\naddq $24, %rsp\n"
    p.rewrite(X86, function("f", body + "popq %rbx\npopq %rbp\nret")).has("call __split$g").lacks(
        "__splita$g", "%r10d")
    # An alignment by a register that nobody wrote, as clang does it.
    p.rewrite(X86, function("f", "pushq %rax\ncallq g\npopq %rcx\nretq")).has("call __split$g")
    body = "stp x29, x30, [sp, -32]!\nstr x19, [sp, 16]\nbl g\nldp x29, x30, [sp], 32\nret"
    p.rewrite(ARM, function("f", body)).has("bl __split$g")
    body = "sub sp, sp, #32\nstp x29, x30, [sp, #16]\nadd x29, sp, #16\nbl g\nret"
    p.rewrite(ARM, function("f", body)).has("bl __split$g")


def case_pushed_arguments(p):
    body = "subq $8, %rsp\npushq $7\npushq %rdi\ncall g\naddq $24, %rsp\nret"
    p.rewrite(X86, function("f", body)).has("movl $32, %r10d", "call __splita$g")
    # A saved register that is pushed after it was given a value.
    body = "pushq %rbx\nmovq %rdi, %rbx\npushq %rbx\npushq %rbx\ncall g\naddq $16, %rsp\n"
    body += "popq %rbx\nret"
    p.rewrite(X86, function("f", body)).has("movl $32, %r10d", "call __splita$g")


def case_stored_arguments(p):
    body = "subq $24, %rsp\nmovl $7, (%rsp)\ncall g\naddq $24, %rsp\nret"
    p.rewrite(X86, function("f", body)).has("movl $32, %r10d", "call __splita$g")
    body = "subq $328, %rsp\nmovq %rsp, %rdi\nmovl $40, %ecx\nrep movsq\ncall g\nret"
    p.rewrite(X86, function("f", body)).has("movl $336, %r10d", "call __splita$g")
    body = "stp x29, x30, [sp, -48]!\nsub sp, sp, #32\nmov w0, 7\nstr w0, [sp]\nbl g\nret"
    p.rewrite(ARM, function("f", body)).has("mov x9, 80", "bl __splita$g")


def case_an_object_at_sp_is_no_argument(p):
    """Where sp itself is an argument, an object lies there, not the callee's arguments."""
    body = ("subq $40, %rsp\nmovq $0, (%rsp)\nmovq %rsp, %rdi\ncall g\ncall *%rbx\n"
            "addq $40, %rsp\nret")
    p.rewrite(X86, function("f", body)).has("call __split$g").has("call __pirn_icall")
    # Unless the callee only copies into it: large structures are passed so.
    copied = body.replace("call g\n", "call memcpy\ncall g\n")
    p.rewrite(X86, function("f", copied)).has("call memcpy", "movl $48, %r10d", "call __splita$g")
    # Or something else was done with the register.
    used = body.replace("call g\n", "movups %xmm0, (%rdi)\ncall g\n")
    p.rewrite(X86, function("f", used)).has("movl $48, %r10d", "call __splita$g")


def case_behind_alloca_all_may_be_arguments(p):
    body = "pushq %rbp\nmovq %rsp, %rbp\nsubq %rax, %rsp\npushq $3\ncall g\nleave\nret"
    p.rewrite(X86, function("f", body)).has("movl $-1, %r10d", "call __splita$g")


def case_functions_known_to_take_none(p):
    body = "subq $24, %rsp\nmovl $7, (%rsp)\ncall {}\naddq $24, %rsp\nret"
    for name in ("malloc", "_Z1gPKcil", "_ZN1A1gERKS_PFvvE", "_ZNK1AIiE1gEv"):
        p.rewrite(X86, function("f", body.format(name))).has(f"call __split${name}")
    for name in ("g", "_Z1giiiiiii", "_Z1g1A", "_Z1giz", "_Z1ge", "_Z1gIiEvT_"):
        p.rewrite(X86, function("f", body.format(name))).has(f"call __splita${name}")


def case_incoming_arguments_are_measured(p):
    body = ("subq $24, %rsp\nmovq 32(%rsp), %rax\nmovups 48(%rsp), %xmm0\ncall g\n"
            "addq $24, %rsp\nret")
    p.rewrite(X86, function("f", body)).frame("f", arguments=32).has(
        f"movl ${2 | 2 << 24}, %r11d", "jmp __pirn_morestack")
    body = "pushq %rbp\nmovq %rsp, %rbp\nmovl 16(%rbp), %eax\ncall g\npopq %rbp\nret"
    p.rewrite(X86, function("f", body)).frame("f", arguments=16)
    # Before the frame is there, the same place has another offset.
    body = "movq 8(%rsp), %rax\nsubq $24, %rsp\ncall g\naddq $24, %rsp\nret"
    p.rewrite(X86, function("f", body)).frame("f", arguments=16)
    body = "stp x29, x30, [sp, -16]!\nldr x0, [sp, 24]\nbl g\nldp x29, x30, [sp], 16\nret"
    p.rewrite(ARM, function("f", body)).frame("f", arguments=16).has(
        "mov x9, 1", "movk x9, 1, lsl 32", "b __pirn_morestack")


def case_a_pointer_to_arguments_takes_all(p):
    body = "subq $24, %rsp\nleaq 32(%rsp), %rax\ncall g\naddq $24, %rsp\nret"
    p.rewrite(X86, function("f", body)).frame("f", arguments=-1).has(
        "pushq %r10", ".cfi_def_cfa_offset 16", "leaq .Lpirn_b0(%rip), %r10",
        "jmp __pirn_morestacka")
    large = body.replace("24, %rsp", "20024, %rsp").replace("32(%rsp)", "20032(%rsp)")
    p.rewrite(X86, function("f", large)).frame("f", arguments=-1).has(
        f"movl ${20032 // 16 | 255 << 24}, %r11d", "jmp __pirn_morestack")
    body = "stp x29, x30, [sp, -16]!\nadd x0, sp, 16\nbl g\nldp x29, x30, [sp], 16\nret"
    p.rewrite(ARM, function("f", body)).frame("f", arguments=-1).has(
        "adr x10, .Lpirn_b0", "b __pirn_morestacka")
    large = body.replace("bl g", "sub sp, sp, #8, lsl 12\nbl g\nadd sp, sp, #8, lsl 12")
    p.rewrite(ARM, function("f", large)).frame("f", arguments=-1).has(
        "movk x9, 65535, lsl 32", "b __pirn_morestack")
    indexed = "subq $24, %rsp\nmovq 8(%rsp,%rdi,8), %rax\ncall g\naddq $24, %rsp\nret"
    p.rewrite(X86, function("f", indexed)).frame("f", arguments=-1)
    p.rewrite(X86, function("_Z1fl", indexed)).frame("_Z1fl", arguments=0)


def case_tail_calls_may_hand_on_arguments(p):
    p.rewrite(X86, function("f", "jmp g")).has("movl $-1, %r10d", "jmp __splita$g")
    p.rewrite(ARM, function("f", "b g")).has("mov x9, -1", "b __splita$g")
    p.rewrite(X86, function("f", "pushq %rbx\ncall h\npopq %rbx\njmp g")).frame("f", arguments=-1)
    p.rewrite(X86, function("_Z1fi", "pushq %rbx\ncall h\npopq %rbx\njmp g")).frame(
        "_Z1fi", arguments=0).has("jmp __split$g")
    p.rewrite(X86, function("f", "jmp free")).has("jmp __split$free").frame("f", arguments=0)
    # Clang may pass what a pointer points to instead, in functions that only this text calls.
    body = "pushq %rbx\ncall h\npopq %rbx\njmp g"
    p.rewrite(X86, function("_ZL1fPiS_", body, binding="")).frame("_ZL1fPiS_", arguments=-1)


def case_conditional_tail_calls(p):
    p.rewrite(X86, function("_Z1fi", "testl %edi, %edi\njne g\nret")).has("jne __split$g")
    p.rewrite(X86, function("f", "testl %edi, %edi\njne g\nret")).has("jne .Lpirn_j0").has(
        ".Lpirn_j0:", "movl $-1, %r10d", "jmp __splita$g")


def case_indirect_calls(p):
    p.rewrite(X86, function("f", "subq $8, %rsp\ncall *16(%rax)\naddq $8, %rsp\nret")).has(
        "movq 16(%rax), %r11", "call __pirn_icall").has(
        ".section .text.__pirn_icall,\"axG\",@progbits,__pirn_icall,comdat").has(
        "testl $4095, %r11d", "je 1f", "cmpl $1346982565, -4(%r11)", "jne 1f", "jmp *%r11")
    body = "pushq $3\ncall *{}\nret"
    p.rewrite(X86, function("f", body.format("8(%r10)"))).has(
        "movq 8(%r10), %r11", "movl $16, %r10d", "call __pirn_icalla")
    p.rewrite(X86, function("f", body.format("%rax"))).has(
        "movl $16, %r10d", "movq %rax, %r11", "call __pirn_icalla")
    p.rewrite(X86, function("_Z1fv", "notrack jmp *%rax")).has(
        "movq %rax, %r11", "jmp __pirn_icall")
    p.rewrite(ARM, function("f", "blr x8\nret")).has("bl __pirn_icall_x8")
    p.rewrite(ARM, function("f", "blr x30\nret")).has("mov x16, x30", "bl __pirn_icall_x16")
    p.rewrite(ARM, function("f", "sub sp, sp, #16\nstr x0, [sp]\nblr x9\nret")).has(
        "mov x10, x9", "mov x9, 16", "bl __pirn_icalla_x10")
    p.refuse(ARM, function("f", "blraaz x8\nret"), "authenticated")
