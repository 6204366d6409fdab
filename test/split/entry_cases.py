# SPDX-License-Identifier: MIT
"""Entries: markers, checks, cold parts, landing pads, the directives that only the pass knows."""

from rewriting import ARM, MARKER, X86, function

CALL = {X86: "pushq %rbx\n.cfi_def_cfa_offset 16\ncall g\npopq %rbx\n.cfi_def_cfa_offset 8\nret",
        ARM: "stp x29, x30, [sp, -16]!\n.cfi_def_cfa_offset 16\nbl g\nldp x29, x30, [sp], 16\nret"}


def case_small_frame_compares_sp(p):
    p.rewrite(X86, function("f", CALL[X86])).has(
        f".long {MARKER[X86]}", ".globl __split$f", ".hidden __split$f", "__split$f:",
        ".globl __splita$f", ".hidden __splita$f", "__splita$f:", "f:", ".cfi_startproc",
        ".cfi_remember_state", "cmpq %fs:0x70, %rsp", "jb .Lpirn_m0", ".Lpirn_b0:",
        "pushq %rbx").has(
        ".cfi_restore_state", ".Lpirn_m0:", "pushq %r10", ".cfi_def_cfa_offset 16",
        "leaq .Lpirn_b0(%rip), %r10", "jmp __pirn_morestack0", ".cfi_endproc")
    p.rewrite(ARM, function("f", CALL[ARM])).has(
        f".long {MARKER[ARM]}", ".globl __split$f", ".hidden __split$f", "__split$f:",
        ".globl __splita$f", ".hidden __splita$f", "__splita$f:", "f:", ".cfi_startproc",
        ".cfi_remember_state", "mrs x16, tpidr_el0", "ldr x16, [x16, 8]", "cmp sp, x16",
        "b.lo .Lpirn_m0", ".Lpirn_b0:", "stp x29, x30, [sp, -16]!").has(
        ".cfi_restore_state", ".Lpirn_m0:", "stp x9, x10, [sp, -16]!", ".cfi_def_cfa_offset 16",
        "adr x10, .Lpirn_b0", "b __pirn_morestack0", ".cfi_endproc")


def case_large_frame_subtracts(p):
    big = "subq $5000, %rsp\ncall g\naddq $5000, %rsp\nret"
    p.rewrite(X86, function("f", big)).has(
        "leaq -5008(%rsp), %rsp", "cmpq %fs:0x70, %rsp", "leaq 5008(%rsp), %rsp", "jb .Lpirn_m0")
    big = "sub sp, sp, #2032\nbl g\nadd sp, sp, #2032\nret"
    p.rewrite(ARM, function("f", big)).has("sub x17, sp, #2032", "cmp x17, x16", "b.lo .Lpirn_m0")
    big = "sub sp, sp, #5, lsl 12\nbl g\nadd sp, sp, #5, lsl 12\nret"
    p.rewrite(ARM, function("f", big)).has("sub x17, sp, #5, lsl 12", "cmp x17, x16")


def case_very_large_frame_says_its_need(p):
    big = "subq $100008, %rsp\ncall g\naddq $100008, %rsp\nret"
    p.rewrite(X86, function("f", big)).has(
        "pushq %r11", ".cfi_def_cfa_offset 24", f"movl ${100016 // 16}, %r11d",
        "jmp __pirn_morestack")
    big = "mov x16, 40000000\nsub sp, sp, x16\nbl g\nmov x16, 40000000\nadd sp, sp, x16\nret"
    big = big.replace("mov x16, 40000000", "mov x16, 23040\nmovk x16, 0x262, lsl 16")
    need = 0x2625A00
    p.rewrite(ARM, function("f", big)).frame("f", frame=need).has(
        f"mov x17, {need & 0xffff}", f"movk x17, {need >> 16}, lsl 16", "sub x17, sp, x17").has(
        f"mov x9, {need // 16 & 0xffff}", f"movk x9, {need // 16 >> 16}, lsl 16",
        "b __pirn_morestack")


def case_too_large_frame_is_refused(p):
    p.refuse(X86, function("f", "subq $300000008, %rsp\ncall g\naddq $300000008, %rsp\nret"),
             "a frame of more than 256 MB")


def case_leaf_has_no_check(p):
    p.rewrite(X86, function("f", "leal 1(%rdi), %eax\nret")).lacks("%fs:0x70", "morestack")
    p.rewrite(ARM, function("f", "add w0, w0, 1\nret")).lacks("tpidr_el0", "morestack")
    # 64 bytes and the red zone are the most.
    small, large = "subq $56, %rsp\nmovl %edi, -8(%rsp)\naddq $56, %rsp\nret", ""
    large = small.replace("56", "72")
    p.rewrite(X86, function("f", small)).frame("f", need=184).lacks("%fs:0x70")
    p.rewrite(X86, function("f", large)).frame("f", need=200).has("cmpq %fs:0x70, %rsp")
    p.rewrite(X86, function("f", "subq $184, %rsp\nmovl %edi, (%rsp)\naddq $184, %rsp\nret")).frame(
        "f", need=184).lacks("%fs:0x70")


def case_red_zone_counts_where_a_pointer_may_reach_it(p):
    body = "leaq -100(%rsp), %rax\nmovl %edi, (%rax)\nret"
    p.rewrite(X86, function("f", body)).frame("f", frame=0, need=128)


def case_tail_call_is_no_call(p):
    p.rewrite(X86, function("_Z1fv", "jmp _Z1gv")).lacks("morestack").has("jmp __split$_Z1gv")
    p.rewrite(ARM, function("_Z1fv", "b _Z1gv")).lacks("morestack").has("b __split$_Z1gv")


def case_endbr64_comes_before_the_check(p):
    p.rewrite(X86, function("f", "endbr64\n" + CALL[X86])).has(
        "endbr64", "cmpq %fs:0x70, %rsp", "jb .Lpirn_m0", ".Lpirn_b0:", "pushq %rbx").has(
        "leaq .Lpirn_r0(%rip), %r10", "jmp __pirn_morestack0", ".Lpirn_r0:", "endbr64",
        "jmp .Lpirn_b0")


def case_bodies_without_endbr64_land_too(p):
    """gcc leaves it out of local functions; the body is still re-entered through a pointer."""
    text = function("f", "endbr64\n" + CALL[X86]) + function("h", CALL[X86], binding="")
    p.rewrite(X86, text).has("leaq .Lpirn_r1(%rip), %r10").has(".Lpirn_r1:", "endbr64")
    note = ('\t.section .note.gnu.property,"a"\n\t.align 8\n\t.long 1f - 0f\n\t.long 4f - 1f\n'
            '\t.long 5\n0:\t.string "GNU"\n1:\t.align 8\n\t.long 0xc0000002\n\t.long 3f - 2f\n'
            '2:\t.long 0x3\n3:\t.align 8\n4:\n')
    p.rewrite(X86, function("h", CALL[X86], binding="") + note).has("leaq .Lpirn_r0(%rip), %r10")


def case_bti_and_signing(p):
    p.rewrite(ARM, function("f", "hint 34\n" + CALL[ARM])).has(
        "hint 34", "mrs x16, tpidr_el0").has(
        "adr x10, .Lpirn_r0", "b __pirn_morestack0", ".Lpirn_r0:", "hint 34", "b .Lpirn_b0")
    both = function("h", "bti c\nret") + function("f", "paciasp\n" + CALL[ARM])
    p.rewrite(ARM, "\t.arch armv8.5-a\n" + both).has("hint 34", "mrs x16, tpidr_el0").has(
        ".Lpirn_b1:", "paciasp").has("adr x10, .Lpirn_b1", "b __pirn_morestack0")
    p.rewrite(ARM, function("f", "hint 25\n" + CALL[ARM])).lacks("hint 34")


def case_marker_fills_the_gap(p):
    text = (function("f", "ret", align="\t.p2align 4") + function("h", "ret", align="\t.p2align 4"))
    p.rewrite(X86, text).has(".p2align 4", ".fill 12, 1, 0x90", f".long {MARKER[X86]}").has(
        ".Lpirn_g1:", ".fill ((.Lpirn_a0-.Lpirn_g1-4)&15), 1, 0x90", f".long {MARKER[X86]}")
    p.rewrite(ARM, text.replace("4\n", "4,,11\n")).has(
        ".fill -(((.Lpirn_a0-.Lpirn_g1-4)&15)<=11)*((.Lpirn_a0-.Lpirn_g1-4)&15), 1, 0")


def case_no_unwind_information(p):
    out = p.rewrite(X86, function("f", "subq $24, %rsp\ncall g\naddq $24, %rsp\nret", cfi=False))
    out.has("f:", "cmpq %fs:0x70, %rsp", "jb .Lpirn_m0", ".Lpirn_b0:", "subq $24, %rsp").has(
        ".Lpirn_m0:", "pushq %r10", "leaq .Lpirn_b0(%rip), %r10", "jmp __pirn_morestack0",
        ".size f, .-f").lacks(".cfi_")


def case_clang_ends_a_function_by_a_label(p):
    text = ('\t.text\n\t.globl f\n\t.p2align 4, 0x90\n\t.type f,@function\nf: # @f\n'
            '\t.cfi_startproc\n# %bb.0:\n\tpushq %rax\n\t.cfi_def_cfa_offset 16\n\tcallq g@PLT\n'
            '\tpopq %rcx\n\tretq\n.Lfunc_end0:\n\t.size f, .Lfunc_end0-f\n\t.cfi_endproc\n')
    p.rewrite(X86, text).has("retq", ".cfi_restore_state", ".Lpirn_m0:").has(
        "jmp __pirn_morestack0", ".Lfunc_end0:", ".size f, .Lfunc_end0-f", ".cfi_endproc")


def case_cold_partition_belongs_to_its_function(p):
    text = ("\t.text\n\t.globl f\n\t.type f, @function\nf:\n\t.cfi_startproc\n\tsubq $24, %rsp\n"
            "\t.cfi_def_cfa_offset 32\n\tje .L2\n\taddq $24, %rsp\n\tret\n\t.cfi_endproc\n"
            '\t.section .text.unlikely,"ax",@progbits\n\t.cfi_startproc\n'
            "\t.type f.cold, @function\nf.cold:\n.L2:\n\t.cfi_def_cfa_offset 32\n"
            "\tsubq $200, %rsp\n\tcall abort\n\t.cfi_endproc\n\t.text\n\t.size f, .-f\n"
            "\t.section .text.unlikely\n\t.size f.cold, .-f.cold\n")
    p.rewrite(X86, text).count(str(MARKER[X86]), 1).frame("f", frame=224).has(
        "call __split$abort").lacks("__split$f.cold")


def case_plain_functions_stay_as_they_are(p):
    body = "#APP\n.pirn_plain\n#NO_APP\n" + CALL[X86]
    p.rewrite(X86, function("f", body) + function("h", CALL[X86] + "\ncall f")).count(
        str(MARKER[X86]), 1).lacks(".pirn_plain").has("pushq %rbx", ".cfi_def_cfa_offset 16",
                                                       "call g").has("call __split$f")


def case_version_of_the_pass(p):
    p.rewrite(X86, "#APP\n\t.pirn_split 1\n#NO_APP\n" + function("f", "ret")).lacks(".pirn_split")
    p.refuse(X86, "\t.pirn_split 2\n", "t.s:1: .pirn_split 2:", "compiled for version 2")


def case_hop_at_every_check(p):
    body = CALL[X86] + "\ncall *%rax"
    p.rewrite(X86, function("f", body), "--hop-at-every-check").count("$0, %fs:0x70", 3)
    p.rewrite(ARM, function("f", CALL[ARM] + "\nblr x1"), "--hop-at-every-check").has(
        "cbnz x16, .Lpirn_m0")


def case_hand_written_text_passes_untouched(p):
    done, out, _ = p.run(X86, "\t.globl f\n\t.type f, @function\nf:\n\tcall g\n\tret\n")
    assert done.returncode == 0 and out is None, done.stderr


def case_errors_name_the_source(p):
    text = '\t.file 1 "dir/source.cc"\n' + function("f", "\n.loc 1 77 3\nmovl $3, %esp\nret")
    p.refuse(X86, text, "t.s:", "movl $3, %esp", "(from dir/source.cc:77)")
