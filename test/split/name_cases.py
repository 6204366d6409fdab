# SPDX-License-Identifier: MIT
"""Names: second names, thunks, groups, aliases, ifuncs, weak symbols, odd characters."""

from rewriting import ARM, MARKER, X86, function

FRAMED = "subq $8, %rsp\ncall {}\naddq $8, %rsp\nret"


def case_foreign_thunks(p):
    p.rewrite(X86, function("f", FRAMED.format("g@PLT"))).has("call __split$g").has(
        '.section .text.pirn_thunk,"axG",@progbits,__pirn_thunk$g,comdat', ".weak __split$g",
        ".hidden __split$g", ".type __split$g, %function", "__split$g:",
        "movq g@GOTPCREL(%rip), %r11", "jmp __pirn_fcall", ".size __split$g, .-__split$g").has(
        "__pirn_fcall:", "leaq -65536(%rsp), %rsp", "cmpq %fs:0x70, %rsp",
        "leaq 65536(%rsp), %rsp", "jb 2f", "jmp *%r11", "2: jmp __pirn_foreign0")
    p.rewrite(ARM, function("f", "bl g\nret")).has(
        "__split$g:", "adrp x10, :got:g", "ldr x10, [x10, :got_lo12:g]", "b __pirn_fcall").has(
        "__pirn_fcall:", "mov x16, x10", "mrs x17, tpidr_el0", "ldr x17, [x17, 8]",
        "add x17, x17, #16, lsl 12", "cmp sp, x17", "b.lo 2f", "br x16", "2: b __pirn_foreign0")
    p.rewrite(X86, function("f", "pushq $1\ncall g\nret")).has("__splita$g:").has(
        "jmp __pirn_fcalla", ".size __splita$g, .-__splita$g").has(
        "2: jmp __pirn_foreign").lacks("__split$g")


def case_small_needs(p):
    p.rewrite(X86, function("f", FRAMED.format("malloc"))).has(
        "__split$malloc:", "leaq -384(%rsp), %r11", "cmpq %fs:0x70, %r11")
    p.rewrite(X86, function("f", FRAMED.format("pthread_mutex_lock"))).has(
        "__split$pthread_mutex_lock:", "cmpq %fs:0x70, %rsp", "jb 1f")
    p.rewrite(X86, function("f", FRAMED.format("memcpy@PLT"))).has("call memcpy@PLT").lacks(
        "__split$memcpy")
    for name in ("__aarch64_ldadd4_acq_rel", "vfork", "__pirn_x", "strlen"):
        p.rewrite(ARM, function("f", f"bl {name}\nret")).has(f"bl {name}")


def case_known_here(p):
    """Called by its second name what binds outside, by its own what does not."""
    text = function("g", "ret") + function("h", "ret", binding="")
    out = p.rewrite(X86, text + function("f", FRAMED.format("g@PLT") + "\n" + FRAMED.format("h")))
    out.has("call __split$g").has("call h").lacks("pirn_thunk", "__split$h")


def case_through_the_got(p):
    p.rewrite(X86, function("_Z1fv", FRAMED.format("*g@GOTPCREL(%rip)"))).has("call __split$g")
    p.rewrite(X86, function("_Z1fv", "jmpq *g@GOTPCREL(%rip)")).has("jmp __split$g")


def case_weak_definitions_outside_groups(p):
    """A foreign strong one may override them, so they are called as if they were elsewhere."""
    text = function("g", "ret", binding="weak") + function("f", FRAMED.format("g"))
    p.rewrite(X86, text).has(f".long {MARKER[X86]}", "g:").has("call __split$g").has(
        "movq g@GOTPCREL(%rip), %r11").lacks(".globl __split$g")


def case_groups_are_renamed(p):
    section = '.text._Z1gv,"axG",@progbits,_Z1gv,comdat'
    text = function("_Z1gv", "ret", binding="weak", section=section)
    text += '\t.section .rodata._Z1gv,"aG",@progbits,_Z1gv,comdat\n\t.byte 1\n'
    text += '\t.section .data.x,"awG",@progbits,x,comdat\n\t.byte 1\n'
    p.rewrite(X86, text).has('.section .text._Z1gv,"axG",@progbits,__pirn_grp$_Z1gv,comdat').has(
        '.section .rodata._Z1gv,"aG",@progbits,__pirn_grp$_Z1gv,comdat').has(
        '.section .data.x,"awG",@progbits,x,comdat').has(".globl __split$_Z1gv")


def case_constructors_alone_and_together(p):
    """gcc has C1 and C2 in one group C5, or C1 alone: their second names must not clash."""
    name = "_ZN1AC1Ev"
    alone = function(name, "ret", binding="weak",
                     section=f'.text.{name},"axG",@progbits,{name},comdat')
    p.rewrite(X86, alone).has(f".weak __split${name}", f".hidden __split${name}")
    both = function("_ZN1AC2Ev", "ret", binding="weak",
                    section='.text._ZN1AC2Ev,"axG",@progbits,_ZN1AC5Ev,comdat')
    both += f"\t.weak {name}\n\t.set {name}, _ZN1AC2Ev\n"
    p.rewrite(X86, both).has(f".globl __split${name}").has(".globl __split$_ZN1AC2Ev")


def case_aliases(p):
    text = function("g", "ret") + "\t.globl a\n\t.set a, g\n\t.set g.localalias, g\n"
    calls = FRAMED.format("a") + "\n" + FRAMED.format("g.localalias")
    out = p.rewrite(X86, text + function("f", calls))
    out.has("__split$a:").has("call __split$a").has("call g.localalias").lacks("pirn_thunk")
    thunk = ("\t.set .LTHUNK0, g\n" +
             function("_ZThn8_N1A1gEv", "subq $8, %rdi\njmp .LTHUNK0"))
    p.rewrite(X86, function("g", "ret") + thunk).has("subq $8, %rdi", "jmp .LTHUNK0")


def case_ifuncs(p):
    text = function("g.resolver", FRAMED.format("h"), binding="")
    text += "\t.globl g\n\t.type g, @gnu_indirect_function\n\t.set g, g.resolver\n"
    p.rewrite(X86, text + function("f", FRAMED.format("g"))).has("call h").has(
        "call __split$g").has("movq g@GOTPCREL(%rip), %r11").count(str(MARKER[X86]), 1)


def case_local_ifuncs(p):
    """Not to be taken for an alias of the resolver; only this text can have a thunk for it."""
    text = function("resolve", "ret", binding="")
    text += "\t.type g, %gnu_indirect_function\n\t.set g, resolve\n"
    p.rewrite(X86, text + function("f", FRAMED.format("g"))).has("call __split$g").has(
        ".text", ".type __split$g, %function", "__split$g:").lacks(
        "__split$resolve", ".weak __split$g")


def case_weak_references(p):
    p.rewrite(X86, "\t.weak g\n" + function("f", FRAMED.format("g"))).has(".weak g").has(
        ".hidden __split$g", ".weak g")
    text = "\t.weakref mine, g\n" + function("f", FRAMED.format("mine"))
    p.rewrite(X86, text).has("call __split$g").has(".hidden __split$g", ".weak g")


def case_functions_of_top_level_assembly(p):
    asm = "#APP\n\t.text\n{}\t.type g, @function\ng:\tret\n#NO_APP\n"
    p.rewrite(X86, asm.format("\t.globl g\n") + function("f", FRAMED.format("g"))).has(
        "call __split$g").has(".weak __split$g")
    out = p.rewrite(X86, asm.format("") + function("f", FRAMED.format("g")))
    out.has("call __split$g").has(".text", ".type __split$g, %function", "__split$g:").lacks(
        ".weak __split$g")


def case_odd_names(p):
    for name in ("größe", "a$b", "x.y"):
        p.rewrite(X86, function(name, "ret") + function("f", FRAMED.format(name))).has(
            f"call __split${name}")
    text = function("operator new", "ret") + function("f", FRAMED.format('"operator new"@PLT'))
    p.rewrite(X86, text).has('call "__split$operator new"').has('"__split$operator new":')
    p.rewrite(X86, function("f", FRAMED.format('"a b"'))).has('call "__split$a b"').has(
        '"__split$a b":')


def case_statements_of_one_line(p):
    text = function("f", "lock; incl (%rdi)\nsubq $8, %rsp; call g # not; this\naddq $8, %rsp\nret")
    p.rewrite(X86, text + '\t.data\n\t.ascii "a;b # c"\n').has("lock", "incl (%rdi)").has(
        "call __split$g", "addq $8, %rsp").has('.ascii "a;b # c"')
    p.rewrite(X86, function("f", "/* call h */ nop\n/*\ncall h\n*/\nret")).lacks("__split$h")


def case_text_of_the_run_time(p):
    """--runtime-text: every section of functions is pirn_text, in the group that it was in."""
    text = function("f", FRAMED.format("g"))
    text += function("h", "ret", section='.text.unlikely,"ax",@progbits')
    text += function("_Z1kv", "ret", binding="weak",
                     section='.text._Z1kv,"axG",@progbits,_Z1kv,comdat')
    text += "\t.section .rodata\n\t.byte 1\n"
    out = p.rewrite(X86, text, "--runtime-text")
    out.has('.section pirn_text,"ax",@progbits').has(
        '.section pirn_text,"ax",@progbits', ".subsection 1").has(
        '.section pirn_text,"axG",@progbits,__pirn_grpr$_Z1kv,comdat').has(".section .rodata")
    out.lacks(".text.unlikely", ".text._Z1kv")
    p.rewrite(X86, text).lacks("pirn_text")


def case_local_plain_functions(p):
    """Called through a thunk of this text, which finds them without the table of addresses."""
    plain = "#APP\n.pirn_plain\n#NO_APP\nret"
    p.rewrite(X86, function("g", plain, binding="") + function("f", FRAMED.format("g"))).has(
        "__split$g:", "leaq g(%rip), %r11", "jmp __pirn_fcall").lacks("g@GOTPCREL")
    p.rewrite(ARM, function("g", plain, binding="") + function("f", "bl g\nret")).has(
        "__split$g:", "adrp x10, g", "add x10, x10, :lo12:g", "b __pirn_fcall").lacks(":got:g")
