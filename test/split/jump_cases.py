# SPDX-License-Identifier: MIT
"""Jumps through registers and memory: switches, computed gotos, tail calls."""

from rewriting import ARM, X86, function

TABLE = '\n.section .rodata\n.L4:\n.long .L5-.L4\n.long .L6-.L4\n.text\n'
BODIES = '\n.L5:\nret\n.L6:\nret'


def case_switch_by_differences(p):
    jump = "leaq .L4(%rip), %rdx\nmovslq (%rdx,%rdi,4), %rax\naddq %rdx, %rax\nnotrack jmp *%rax"
    p.rewrite(X86, function("f", jump + TABLE + BODIES)).has("notrack jmp *%rax").frame(
        "f", dynamic=False)
    far = "leaq .L4(%rip), %r8\n.L1:\nmovslq (%r8,%rdi,4), %rax\naddq %r8, %rax\njmp *%rax"
    p.rewrite(X86, function("f", far.replace("%r8", "%rbx") + TABLE + BODIES)).has(
        "jmp *%rax").frame("f", dynamic=False)


def case_switch_by_addresses(p):
    table = TABLE.replace("-.L4", "").replace(".long", ".quad")
    p.rewrite(X86, function("f", "jmp *.L4(,%rdi,8)" + table + BODIES)).has("jmp *.L4(,%rdi,8)")
    p.rewrite(X86, function("f", "movq .L4(,%rdi,8), %rax\njmp *%rax" + table + BODIES)).has(
        "jmp *%rax").frame("f", dynamic=False)


def case_switch_on_aarch64(p):
    gcc = ("adrp x1, .L4\nadd x1, x1, :lo12:.L4\nldrb w1, [x1,w0,uxtw]\nadr x0, .Lrtx4\n"
           "add x1, x0, w1, sxtb #2\nbr x1\n.Lrtx4:\n.section .rodata\n.L4:\n"
           ".byte (.L5 - .Lrtx4) / 4\n.byte (.L6 - .Lrtx4) / 4\n.text")
    p.rewrite(ARM, function("f", gcc + BODIES)).has("br x1").frame("f", dynamic=False)
    clang = ("adrp x8, .LJTI0_0\nadd x8, x8, :lo12:.LJTI0_0\nadr x9, .LBB0_1\n"
             "ldrb w10, [x8, x0]\nadd x9, x9, x10, lsl #2\nbr x9\n.LBB0_1:\nret\n.LBB0_2:\nret\n"
             ".section .rodata\n.LJTI0_0:\n.byte (.LBB0_1-.LBB0_1)>>2\n.byte (.LBB0_2-.LBB0_1)>>2\n"
             ".text")
    p.rewrite(ARM, function("f", clang)).has("br x9").frame("f", dynamic=False)


def case_spilled_table_address(p):
    body = ("leaq .L4(%rip), %rax\nmovq %rax, -8(%rbp)\n.L1:\nmovq -8(%rbp), %rdx\n"
            "movslq (%rdx,%rdi,4), %rax\naddq %rdx, %rax\njmp *%rax")
    p.rewrite(X86, function("f", body + TABLE + BODIES)).has("jmp *%rax").frame("f", dynamic=False)


def case_virtual_tail_calls(p):
    p.rewrite(X86, function("_Z1fP1V", "movq (%rdi), %rax\njmp *16(%rax)")).has(
        "movq 16(%rax), %r11", "jmp __pirn_icall")
    p.rewrite(ARM, function("_Z1fP1V", "ldr x1, [x0]\nldr x1, [x1, 16]\nbr x1")).has(
        "b __pirn_icall_x1")
    # Also beside a switch.
    switch = "leaq .L4(%rip), %rdx\nmovslq (%rdx,%rsi,4), %rax\naddq %rdx, %rax\njmp *%rax"
    tail = "\n.L5:\nmovq (%rdi), %rax\njmp *16(%rax)\n.L6:\nret"
    p.rewrite(X86, function("_Z1fP1Vi", switch + TABLE + tail)).has(
        "addq %rdx, %rax", "jmp *%rax").has(
        "movq 16(%rax), %r11", "jmp __pirn_icall").frame("_Z1fP1Vi", dynamic=False)


def case_computed_pointers_without_any_table(p):
    p.rewrite(X86, function("_Z1fPc", "addq %rsi, %rdi\njmp *%rdi")).has("jmp __pirn_icall")
    p.rewrite(X86, function("_Z1fPc", "xorq %rsi, %rdi\njmp *%rdi")).has("jmp __pirn_icall")
    p.rewrite(ARM, function("_Z1fPc", "add x0, x0, x1\nbr x0")).has("b __pirn_icall_x0")


def case_a_table_of_functions_is_no_switch(p):
    table = "\n.section .rodata\ntable:\n.quad g\n.quad h\n.text\n"
    p.rewrite(X86, function("_Z1fi", "jmp *table(,%rdi,8)" + table)).has(
        "movq table(,%rdi,8), %r11", "jmp __pirn_icall")
    other = function("g", "jmp *.L4(,%rdi,8)" + TABLE + BODIES)
    p.rewrite(X86, other + function("_Z1fi", "jmp *.L4(,%rdi,8)")).has("jmp __pirn_icall")


def case_computed_goto_by_a_table(p):
    table = "\n.section .data\ntargets:\n.quad .L5\n.quad .L6\n.text\n"
    p.rewrite(X86, function("f", "jmp *targets(,%rdi,8)" + table + BODIES)).has(
        "jmp *targets(,%rdi,8)").frame("f", dynamic=False)


def case_computed_goto_that_looks_like_a_call(p):
    """From a table on the stack, where sp is what it was at entry: nobody can tell."""
    body = "leaq .L5(%rip), %rax\nmovq %rax, -16(%rsp)\njmp *-16(%rsp,%rdi,8)" + BODIES
    p.rewrite(X86, function("f", body)).has("jmp *-16(%rsp,%rdi,8)").frame("f", dynamic=True)
    # Within a frame it can only be a goto.
    framed = "subq $24, %rsp\n" + body.replace("-16", "8").replace("ret", "addq $24, %rsp\nret")
    p.rewrite(X86, function("f", framed)).has("jmp *8(%rsp,%rdi,8)").frame("f", dynamic=False)


def case_computed_goto_by_differences(p):
    body = ("movslq offsets(,%rdi,4), %rax\nleaq .L5(%rip), %rdx\naddq %rdx, %rax\n"
            "jmp *%rax" + BODIES +
            "\n.section .rodata\noffsets:\n.long .L5-.L5\n.long .L6-.L5\n.text\n")
    p.rewrite(X86, function("f", body)).has("jmp *%rax")


def case_jump_that_is_neither(p):
    p.refuse(X86, function("f", "subq $24, %rsp\njmp *%rax"), "-fno-jump-tables")
    p.refuse(ARM, function("f", "sub sp, sp, #16\nbr x0"), "-fno-jump-tables")


def case_jumps_to_odd_places(p):
    p.refuse(X86, function("f", "jmp g+4"), "a place within a function")
    two = function("g", "nop\n.L9:\nret") + function("f", "jmp .L9")
    p.refuse(X86, two, "a jump into another function")
    p.refuse(X86, function("f", "call __x86_indirect_thunk_rax\nret"), "-mindirect-branch")
    p.refuse(X86, function("f", "call __morestack\nret"), "-fsplit-stack")


def case_prefixes(p):
    p.rewrite(X86, function("_Z1fv", "data16 leaq x@tlsld(%rip), %rdi\nbnd jmp g\n")).has(
        "jmp __split$g")
    p.rewrite(X86, function("f", "rep ret")).has("rep ret")
