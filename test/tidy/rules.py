# SPDX-License-Identifier: MIT
"""The enforced conventions. Each rule is a function from a tree to (path, line, what is wrong);
its first docstring line is the rule as people read it."""

import collections
import re

from layers import CPU_FOLDERS, include_direction

OUTSIDE = ("test/", "bench/", "examples/")
SCRIPT = (".h", ".cc", ".cpp", ".c", ".S", ".py", ".sh", ".go", ".build", ".ini", ".txt")
CPU_MACRO = re.compile(
    r"\b(?:__x86_64(?:__)?|__amd64(?:__)?|__i[3-6]86(?:__)?|__aarch64__|__arm(?:64)?__|__ARM_\w+"
    r"|__AARCH64\w*|_M_(?:X64|AMD64|ARM64|IX86|ARM)|__riscv\w*|__powerpc\w*|__ppc\w*|__s390\w*"
    r"|__SSE\w*__|__AVX\w*__)\b")
ORDER = re.compile(r"\bmemory_order(?:_|::)(acquire|release|acq_rel|seq_cst|consume)\b")
TAG = re.compile(r"\bORD\(([^)\n]+)\)")
# How far above an order its comment may start.
ORD_LINES = 4
# The names that the header gives its users, san_ and k_under_tsan, are not among these.
SANITIZER = re.compile(r"\b(?:\w*sanitize\w*|(?:__|PIRN_)?(?:[atml]|ub)san(?:_\w+)?|__has_feature"
                       r"|\w*valgrind\w*)\b", re.IGNORECASE)


def is_script(file):
    return file.path.endswith(SCRIPT) or file.text.startswith("#!")


def inside(tree):
    """The C++ of the libraries and the host program."""
    return [f for f in tree.cpp() if not f.path.startswith(OUTSIDE)]


def matches(files, pattern, attribute):
    for file in files:
        for found in pattern.finditer(getattr(file, attribute)):
            yield file, found, file.line_of(found.start())


def no_cpu_ifdef(tree):
    """no question about the CPU outside arch/"""
    files = [f for f in tree.cpp() if not f.path.startswith("arch/")
             and not CPU_FOLDERS.match(f.path)]
    for file, found, line in matches(files, CPU_MACRO, "bare"):
        yield file.path, line, f"{found.group(0)}: the CPU is chosen by the path, in arch/"


def one_thread_local(tree):
    """one thread_local in the project"""
    places = [(file.path, line) for file, _, line in
              matches(inside(tree),
                      re.compile(r"(?<!extern constinit )\b(?:thread_local|__thread)\b"), "bare")]
    for path, line in places[1:]:
        yield path, line, f"a second thread_local; the project's one is {places[0][0]}"


# The library's own atomics, and those of the headers that users compile.
SHIMS = ("runtime/base/atomic.h", "runtime/include/pirn/word.h")


def atomic_shim(tree):
    """only base/atomic.h and <pirn/word.h> include <atomic> or name the compiler's atomics"""
    pattern = re.compile(r"#[ \t]*include[ \t]*<(?:stdatomic\.h|atomic)>|\bstd::atomic\w*"
                         r"|\b__(?:atomic|sync)_\w+\b")
    files = [f for f in inside(tree) if f.path not in SHIMS]
    for file, found, line in matches(files, pattern, "code"):
        yield file.path, line, f"{found.group(0)}: atomics come through {' or '.join(SHIMS)}"


def order_tagged(tree):
    """every acquire, release, acq_rel and seq_cst carries an ORD(tag)"""
    for file, found, line in matches(inside(tree), ORDER, "bare"):
        if file.path == "runtime/base/atomic.h":
            continue
        above = file.lines[max(0, line - 1 - ORD_LINES):line]
        if not any(TAG.search(text) for text in above):
            yield file.path, line, f"{found.group(0)} without an ORD(tag) here or right above"


def order_paired(tree):
    """every ORD tag is used at least twice"""
    uses = collections.defaultdict(list)
    for file, found, line in matches(inside(tree), TAG, "text"):
        uses[found.group(1)].append((file.path, line))
    for tag, places in sorted(uses.items()):
        if len(places) < 2:
            yield *places[0], f"ORD({tag}) has no partner"


def spdx_line(tree):
    """every source, build and script file starts with its licence"""
    for file in tree.files.values():
        if is_script(file) and not any("SPDX-License-Identifier: MIT" in line
                                       for line in file.lines[:2]):
            yield file.path, 1, "no `SPDX-License-Identifier: MIT` in its first two lines"


def assembly_notes(tree):
    """every .S has .note.GNU-stack, every routine .type .size .hidden .p2align .cfi_startproc"""
    label = re.compile(r"^([A-Za-z_]\w*):", re.MULTILINE)
    for file in tree.cpp(".S"):
        if ".note.GNU-stack" not in file.code:
            yield file.path, 1, "no .note.GNU-stack: the stack would be executable"
        starts = list(label.finditer(file.code))
        for i, found in enumerate(starts):
            name, line = found.group(1), file.line_of(found.start())
            for directive in (".type", ".size", ".hidden"):
                # What code elsewhere is made to call by the pass is .protected: not hidden from a
                # shared object, nor replaced by one.
                either = r"\.(?:hidden|protected)" if directive == ".hidden" else "\\" + directive
                if not re.search(rf"^\s*{either}\s+{name}\b", file.code, re.MULTILINE):
                    yield file.path, line, f"{name} has no {directive}"
            before = file.code[starts[i - 1].end() if i else 0:found.start()]
            after = file.code[found.end():starts[i + 1].start() if i + 1 < len(starts) else None]
            if not re.search(r"\.(?:p2align|balign)\b", before):
                yield file.path, line, f"{name} is not aligned"
            if not re.match(r"\s*\.cfi_startproc\b", after) or ".cfi_endproc" not in after:
                yield file.path, line, f"{name} is not between .cfi_startproc and .cfi_endproc"


def pragma_once(tree):
    """every header says #pragma once"""
    for file in tree.cpp(".h"):
        if not re.search(r"^#pragma once$", file.code, re.MULTILINE):
            yield file.path, 1, "no #pragma once"


def hundred_columns(tree):
    """no line is longer than 100 columns"""
    for file in tree.files.values():
        if not is_script(file):
            continue
        for number, line in enumerate(file.lines, 1):
            width = len(line.expandtabs(4))
            if width > 100:
                yield file.path, number, f"{width} columns"


def mimalloc_in_one_place(tree):
    """only runtime/base/alloc.*, the build and the tests name mimalloc"""
    free = ("runtime/base/alloc.", "test/")
    for file in tree.files.values():
        if not is_script(file) or file.path.startswith(free) or file.path in ("run", ".ci/run"):
            continue
        if file.path.endswith((".build", "meson_options.txt", ".ini")):
            continue
        for found in re.finditer(r"mimalloc|\bmi_\w+", file.text):
            yield file.path, file.line_of(found.start()), f"{found.group(0)} outside base/alloc"


def sanitizers_in_one_place(tree):
    """only runtime/base/sanitizer.h speaks of sanitizers"""
    files = [f for f in inside(tree) if f.path != "runtime/base/sanitizer.h"]
    for file, found, line in matches(files, SANITIZER, "bare"):
        yield file.path, line, f"{found.group(0)} outside base/sanitizer.h"


RULES = [include_direction, no_cpu_ifdef, one_thread_local, atomic_shim, order_tagged,
         order_paired, spdx_line, assembly_notes, pragma_once, hundred_columns,
         mimalloc_in_one_place, sanitizers_in_one_place]
