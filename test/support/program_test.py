#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the driver's runner on small programs that pass, fail, hang, die and skip: a test run is
worth no more than its count of failures."""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from cases import cases, failure  # noqa: E402
import program  # noqa: E402

TELL = "import os, signal, sys, time\nf = open(os.environ['PIRN_TEST_CASES'], 'a', 1)\n"


def expect(code, passed=0, failed=(), skipped=0, limit=20.0):
    done = program.run([sys.executable, "-c", code], limit)
    got = (done.passed, tuple(done.failed), done.skipped)
    if got != (passed, tuple(failed), skipped):
        raise failure(f"counted {got}, expected {(passed, tuple(failed), skipped)}\n{done.output}")
    return done


def a_failure_has_its_name_and_output():
    done = expect(TELL + "f.write('start a\\nok 0.1 a\\nstart b\\nfail 0.2 b\\nskip 0 c\\n')\n"
                         "print('why'); sys.exit(1)", 1, ["b"], 1)
    if done.output != "why\n":
        raise failure(done.output)


def an_absent_program():
    done = program.run(["/nonexistent/program"], 5)
    if done.failed != ["the program itself (status 127)"]:
        raise failure(f"{done.failed}")


def leaves_nothing(code, **expected):
    """A grandchild ends with the program, however that ended."""
    done = expect("import subprocess\n"
                  "child = subprocess.Popen(['sleep', '60'])\nprint(child.pid, flush=True)\n"
                  + code, **expected)
    pid = done.output.split()[0]
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                state = file.read().rpartition(") ")[2][0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise failure(f"process {pid} is still there")


def main():
    group = cases()
    for name, case in {
        "cases are counted": lambda: expect(
            TELL + "f.write('start a b\\nok 0.1 a b\\nstart c\\nok 0.2 c\\n')", 2),
        "a failure has its name and output": a_failure_has_its_name_and_output,
        "a program that tells no case is one": lambda: expect("pass", 1),
        "a status without a failed case": lambda: expect(
            TELL + "f.write('start a\\nok 0.1 a\\n'); sys.exit(3)", 1,
            ["the program itself (status 3)"]),
        "a death names the case": lambda: expect(
            TELL + "f.write('start a\\n'); os.kill(os.getpid(), signal.SIGSEGV)", 0,
            ["a (killed by SIGSEGV)"]),
        "a death between cases": lambda: expect(
            TELL + "f.write('start a\\nok 0 a\\n'); os.kill(os.getpid(), signal.SIGABRT)", 1,
            ["the program itself (killed by SIGABRT)"]),
        "a hang names the case": lambda: expect(
            TELL + "f.write('start slow\\n'); time.sleep(60)", 0, ["slow (no end after 0.5 s)"],
            limit=0.5),
        "a hang that ignores SIGQUIT": lambda: expect(
            TELL + "signal.signal(signal.SIGQUIT, signal.SIG_IGN); time.sleep(60)", 0,
            ["the program itself (no end after 0.5 s)"], limit=0.5),
        "a skip": lambda: expect("import sys; sys.exit(77)", skipped=1),
        "no case at all is a failure": lambda: expect(
            "print('No tests ran')", 0, ["no case was run"]),
        "a script that counts for itself": lambda: expect(
            "print('FAIL x y\\n3 passed, 1 failed, 2 skipped'); import sys; sys.exit(1)", 3,
            ["x y"], 2),
        "a script that counts, with a failure it did not name": lambda: expect(
            "print('3 passed, 1 failed'); import sys; sys.exit(1)", 3,
            ["a case that was not named"]),
        "a program that is not there": an_absent_program,
        "what a program leaves running ends": lambda: leaves_nothing("pass", passed=1),
        "what a hung program started ends": lambda: leaves_nothing(
            "import time; time.sleep(60)", failed=["the program itself (no end after 0.5 s)"],
            limit=0.5),
    }.items():
        group.run(name, case)
    group.finish()


main()
