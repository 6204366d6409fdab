# SPDX-License-Identifier: MIT
"""gdb's backtrace of a goroutine that has hopped: every frame, at its right line.

usage: gdb_test.py PROGRAM SOURCE. A line `// line of f` in the source is where the
frame of f has to be.
"""

import os
import re
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cases import cases, command, failure, skip  # noqa: E402

# Innermost first.
FRAMES = ["deepest", "large", "morestack", "middle", "foreign::call_back", "morestack", "small",
          "operator()", "goroutine_entry", "__pirn_entry"]
FRAME = re.compile(r"^#\d+ +(?:0x[0-9a-f]+ in )?(.*)$")


def line_of(name, source):
    with open(source, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if text.rstrip().endswith(f"// line of {name}"):
                return number
    return None


def backtrace(program):
    if shutil.which("gdb") is None:
        raise skip("gdb is not installed")
    if os.environ.get("MESON_EXE_WRAPPER"):
        raise skip("the program runs in an emulator")
    said = command(["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off",
                    "-ex", "set print frame-arguments none", "-ex", "set width 0",
                    "-ex", "break deepest", "-ex", "run", "-ex", "backtrace",
                    "-ex", "kill", program])
    return said, [match.group(1) for match in map(FRAME.match, said.split("\n")) if match]


def walks(program, source):
    """Every frame down to the first is there in this order, on its line."""
    said, frames = backtrace(program)
    at = 0
    for name in FRAMES:
        found = next((i for i in range(at, len(frames)) if name in frames[i]), None)
        if found is None:
            raise failure(f"no frame of {name} from number {at} on\n{said}")
        line = line_of(name, source)
        if line is not None and not frames[found].endswith(f"{os.path.basename(source)}:{line}"):
            raise failure(f"{name}: line {line} expected\n{said}")
        at = found + 1
    if not frames[-1].startswith(FRAMES[-1]):
        raise failure(f"the walk does not end where the goroutine began\n{said}")


def main():
    program, source = sys.argv[1:]
    group = cases()
    group.run("gdb walks through hops", lambda: walks(program, source))
    group.finish()


main()
