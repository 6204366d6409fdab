# SPDX-License-Identifier: MIT
"""What each rule must refuse, and a small tree that all rules accept.

A plant is a set of files laid over the clean tree; the rule must object to the first of them.
"""

MIT = "// SPDX-License-Identifier: MIT\n"
HEADER = MIT + "#pragma once\n"
# Written apart, so that this file holds no order for a reader's grep to find.
ACQUIRE = "std::memory_order_" + "acquire"
RELEASE = "std::memory_order_" + "release"

ROUTINE = """\
        .globl  go_there
        .hidden go_there
        .type   go_there, @function
        .p2align 4
go_there:
        .cfi_startproc
        ret
        .cfi_endproc
        .size   go_there, .-go_there
"""
STACK_NOTE = '        .section .note.GNU-stack, "", @progbits\n'


def without(text, part):
    assert part in text
    return text.replace(part, "")


CLEAN = {
    "meson.build": "# SPDX-License-Identifier: MIT\nfind_library('mimalloc')\n",
    "run": "#!/usr/bin/env bash\n# SPDX-License-Identifier: MIT\n",
    "README.md": "Lines of prose may be as long as they like. " * 9 + "They may name mimalloc.\n",
    "runtime/base/atomic.h": HEADER + "#include <atomic>\n",
    "runtime/base/alloc.cc": MIT + "#include <mimalloc.h>\n",
    "runtime/base/sanitizer.h": HEADER + "#ifdef __SANITIZE_ADDRESS__\n#endif\n"
                                         "constexpr bool k_under_tsan = false;\n",
    "arch/arch.h": HEADER + '#include "cpu.h"\n',
    "arch/x86_64/cpu.h": HEADER + '#include "regs.h"\n#ifdef __AVX512F__\n#endif\n',
    "arch/x86_64/regs.h": HEADER,
    "arch/x86_64/switch.S": MIT + '#include "regs.h"\n' + ROUTINE + STACK_NOTE,
    "stack/stack.h": HEADER + '#include "arch/arch.h"\n#include "runtime/base/atomic.h"\n',
    "runtime/include/pirn/runtime.h": HEADER + "#include <vector>\n",
    "runtime/park.h": HEADER + '#include "stack/stack.h"\n',
    "runtime/g.h": HEADER,
    "runtime/self.cc": MIT + "#include <pirn/runtime.h>\n"
                             '#include "runtime/base/sanitizer.h"\n'
                             "thread_local int* self;  // The one thread_local.\n"
                             "const char* text = \"thread_local\";\n"
                             "bool slow = k_under_tsan;\n"
                             "// ORD(self): acquire; pairs with the release below.\n"
                             f"x.load({ACQUIRE});\n"
                             f"x.store(1, {RELEASE});  // ORD(self): release.\n",
    "chan/include/pirn/chan.h": HEADER + "#include <pirn/runtime.h>\n",
    "chan/hchan.cc": MIT + "#include <pirn/chan.h>\n#include \"runtime/park.h\"\n",
    "ctx/include/pirn/context.h": HEADER + "#include <pirn/chan.h>\n",
    "net/include/pirn/net.h": HEADER + "#include <pirn/context.h>\n",
    "net/include/pirn/pirn.h": HEADER + "#include <pirn/chan.h>\n#include <pirn/net.h>\n",
    "test/arch/x86_64/probes.h": HEADER + "#ifdef __AVX512F__\n#endif\n",
    "test/arch/switch_test.cc": MIT + '#include "probes.h"\n',
    "test/chan/chan_test.cc": MIT + '#include "runtime/g.h"\n#include <atomic>\n',
    "bench/harness/harness.h": HEADER,
    "bench/harness/x86_64/swap.h": HEADER + "#ifdef __CET__\n#elif __x86_64__\n#endif\n",
    "bench/switch/pirn.cc": MIT + '#include "arch/arch.h"\n#include "harness/harness.h"\n'
                                  '#include "swap.h"\n',
    "examples/args.h": HEADER,
    "examples/hello.cc": MIT + '#include <pirn/pirn.h>\n#include "args.h"\n',
}


def cc(path, *lines):
    return {path: MIT + "\n".join(lines) + "\n"}


def header(path, *lines):
    return {path: HEADER + "\n".join(lines) + "\n"}


PLANTS = {
    "include_direction": [
        cc("runtime/sched.cc", "#include <pirn/chan.h>"),
        cc("chan/select.cc", "#include <pirn/context.h>"),
        cc("sync/mutex.cc", "#include <pirn/chan.h>"),
        cc("chan/select.cc", '#include "runtime/g.h"'),
        cc("chan/select.cc", '#include "stack/stack.h"'),
        cc("chan/select.cc", '#  include "hchan.h"') | header("chan/hchan.h"),
        cc("net/tcp.cc", "#include <pirn/chan.h>"),
        cc("stack/pool.cc", '#include "runtime/park.h"'),
        cc("stack/pool.cc", '#include "arch/x86_64/cpu.h"'),
        cc("runtime/sched.cc", '#include "regs.h"'),
        cc("runtime/sched.cc", '#include "test/support/fixture.h"')
        | header("test/support/fixture.h"),
        cc("runtime/sched.cc", '#include "bench/harness/harness.h"'),
        cc("runtime/sched.cc", '#include "runtime/include/pirn/runtime.h"'),
        cc("runtime/sched.cc", "#include <runtime/park.h>"),
        cc("runtime/sched.cc", "#include <pirn/nothing.h>"),
        cc("runtime/sched.cc", "#include <pirn/pirn.h>"),
        header("runtime/include/pirn/debug.h", '#include "runtime/g.h"'),
        header("runtime/base/rand.h", '#include "runtime/g.h"'),
        cc("bench/yield/pirn.cc", '#include "runtime/park.h"'),
        cc("bench/yield/pirn.cc", '#include "arch/arch.h"'),
        cc("examples/echo.cc", '#include "runtime/park.h"'),
        cc("extra/new.cc", '#include "runtime/park.h"'),
        cc("split/reader.cc", '#include "runtime/base/alloc.h"') | header("runtime/base/alloc.h"),
    ],
    "no_cpu_ifdef": [
        cc("runtime/sched.cc", "#ifdef __x86_64__", "#endif"),
        cc("test/arch/switch_test.cc", "#if defined(__aarch64__)", "#endif"),
        cc("runtime/base/spin.cc", "#if __ARM_ARCH >= 8", "#endif"),
    ],
    "one_thread_local": [
        cc("stack/pool.cc", "static thread_local int cache;"),
        cc("stack/pool.cc", "static __thread int cache;"),
    ],
    "atomic_shim": [
        cc("runtime/sched.cc", "#include <atomic>"),
        header("sync/include/pirn/sync.h", "struct mutex { std::atomic<int> state; };"),
        cc("runtime/sched.cc", "int f(int* p) { return __atomic_load_n(p, 2); }"),
        header("sync/include/pirn/word.h", "#include <atomic>"),
    ],
    "order_tagged": [
        cc("runtime/sched.cc", f"int n = x.load({ACQUIRE});"),
        cc("runtime/sched.cc", "// ORD(self): too far above.", "", "", "", "",
           f"x.store(1, {RELEASE});"),
        cc("runtime/sched.cc", "fence(std::memory_order::" + "seq_cst);"),
    ],
    "order_paired": [
        cc("runtime/sched.cc", f"x.store(1, {RELEASE});  // ORD(alone): release."),
    ],
    "spdx_line": [
        {"runtime/sched.cc": "int x;\n"},
        {"stack/meson.build": "project('x')\n"},
        {"tool": "#!/bin/sh\nexit 0\n"},
        {"test/suite.py": "print('x')\n"},
    ],
    "assembly_notes": [
        {"arch/x86_64/a.S": MIT + ROUTINE},
        {"arch/x86_64/a.S": MIT + without(ROUTINE, ".hidden go_there") + STACK_NOTE},
        {"arch/x86_64/a.S": MIT + without(ROUTINE, ".type   go_there, @function") + STACK_NOTE},
        {"arch/x86_64/a.S": MIT + without(ROUTINE, ".size   go_there, .-go_there") + STACK_NOTE},
        {"arch/x86_64/a.S": MIT + without(ROUTINE, ".p2align 4") + STACK_NOTE},
        {"arch/x86_64/a.S": MIT + without(ROUTINE, ".cfi_startproc") + STACK_NOTE},
        {"arch/x86_64/a.S": MIT + ROUTINE + "second:\n        ret\n" + STACK_NOTE},
        {"arch/x86_64/a.S": MIT + ROUTINE + "// .note.GNU-stack\n"},
    ],
    "pragma_once": [
        {"runtime/m.h": MIT + "struct m;\n"},
        {"runtime/m.h": MIT + "// #pragma once\n"},
    ],
    "hundred_columns": [
        cc("runtime/sched.cc", "// " + "x" * 98),
        {"test/suite.py": "# SPDX-License-Identifier: MIT\n#" + "é" * 100 + "\n"},
    ],
    "mimalloc_in_one_place": [
        cc("stack/map.cc", "#include <mimalloc.h>"),
        cc("stack/map.cc", "void* p = mi_malloc(8);"),
        cc("examples/hello.cc", "// Runs on mimalloc."),
    ],
    "sanitizers_in_one_place": [
        cc("runtime/sched.cc", "#ifdef __SANITIZE_THREAD__", "#endif"),
        cc("runtime/sched.cc", "#if PIRN_ASAN", "#endif"),
        cc("runtime/sched.cc", "__tsan_switch_to_fiber(f, 0);"),
        cc("runtime/sched.cc", "[[gnu::no_sanitize_address]] void f();"),
        cc("runtime/sched.cc", "#include <valgrind/memcheck.h>"),
        cc("runtime/sched.cc", "#include <sanitizer/asan_interface.h>"),
    ],
}
