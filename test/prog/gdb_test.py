# SPDX-License-Identifier: MIT
"""gdb's backtraces of goroutines: every frame, at its right line.

usage: gdb_test.py HOPPING SOURCE PARKED SOURCE SCRIPT. A goroutine of the first program has hopped;
those of the second are parked, and the script has gdb list them. A line `// line of f` in the
source is where the frame of f has to be.
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
# First of the one that runs, then of one that is parked, without what is the library's.
PARKED_FRAMES = ["stop_here", "recv", "waits", "waits_below", "operator()", "goroutine_entry",
                 "__pirn_entry"]
FRAME = re.compile(r"^#\d+ +(?:0x[0-9a-f]+ in )?(.*)$")


def line_of(name, source):
    with open(source, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            if text.rstrip().endswith(f"// line of {name}"):
                return number
    return None


def gdb(program, *commands):
    if shutil.which("gdb") is None:
        raise skip("gdb is not installed")
    if os.environ.get("MESON_EXE_WRAPPER"):
        raise skip("the program runs in an emulator")
    said = command(["gdb", "-nx", "-batch", "-ex", "set debuginfod enabled off",
                    "-ex", "set print frame-arguments none", "-ex", "set width 0",
                    *(word for one in commands for word in ("-ex", one)), program])
    return said, [match.group(1) for match in map(FRAME.match, said.split("\n")) if match]


def walks(program, source):
    """Every frame down to the first is there in this order, on its line."""
    said, frames = gdb(program, "break deepest", "run", "backtrace", "kill")
    look_at(said, frames, FRAMES, source)


def look_at(said, frames, names, source):
    at = 0
    for name in names:
        found = next((i for i in range(at, len(frames)) if name in frames[i]), None)
        if found is None:
            raise failure(f"no frame of {name} from number {at} on\n{said}")
        line = line_of(name, source)
        if line is not None and not frames[found].endswith(f"{os.path.basename(source)}:{line}"):
            raise failure(f"{name}: line {line} expected\n{said}")
        at = found + 1
    if not frames[-1].startswith(names[-1]):
        raise failure(f"the walk does not end where the goroutine began\n{said}")


def lists(program, source, script):
    """Q08: each goroutine is listed; a parked one's frames are shown, and it goes on afterwards."""
    if "waiting_since_ns" not in gdb(program, "ptype pirn::rt::g", "echo")[0]:
        raise skip("the library was built without debug info")
    said, frames = gdb(program, "break stop_here", "run", f"source {script}", "info goroutines",
                       "goroutine 1 backtrace 1", "goroutine 3 backtrace", "continue")
    parked = r" \[waiting: chan receive\] .*main"
    for line in [r"^1 \[running\] the main function$", "^2.*" + parked, "^3.*" + parked,
                 "^4.*" + parked, '^[234] "the second"' + parked, r"^sum 36$"]:
        if not re.search(line, said, re.MULTILINE):
            raise failure(f"not said: {line}\n{said}")
    look_at(said, frames, PARKED_FRAMES, source)


def main():
    hopping, hopping_source, parked, parked_source, script = sys.argv[1:]
    group = cases()
    group.run("gdb walks through hops", lambda: walks(hopping, hopping_source))
    group.run("gdb lists goroutines", lambda: lists(parked, parked_source, script))
    group.finish()


main()
