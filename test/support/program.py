# SPDX-License-Identifier: MIT
"""Runs one test program under a time limit and reads off its cases (the form is in cases.py)."""

import os
import re
import signal
import subprocess
import tempfile
import time

# The status that says: this cannot run here (as in Automake and Meson).
SKIPPED = 77
OUTPUT_LIMIT = 1 << 20
TOTALS = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.MULTILINE)


class result:
    """What came of a program: how many cases passed and were skipped, and of the failed ones
    what each was called."""

    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failed = []
        self.output = ""
        self.seconds = 0.0
        self.hung = False


def run(argv, limit, env=None, cwd=None):
    """Runs argv, at most `limit` seconds. Everything it started is gone afterwards."""
    done = result()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pirn-test-") as folder:
        told = os.path.join(folder, "cases")
        with open(os.path.join(folder, "output"), "w+b") as output:
            status, done.hung = wait(argv, limit, {**os.environ, **(env or {}),
                                                   "PIRN_TEST_CASES": told}, cwd, output)
            output.seek(0)
            done.output = output.read(OUTPUT_LIMIT).decode("utf-8", "replace")
        lines = []
        if os.path.exists(told):
            with open(told, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
    done.seconds = time.monotonic() - began
    judge(done, lines, status, f"no end after {limit:g} s" if done.hung else ending(status))
    return done


def wait(argv, limit, env, cwd, output):
    """(status, whether it hung). The program has a process group of its own, which ends with it."""
    try:
        child = subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output,
                                 stderr=subprocess.STDOUT, start_new_session=True)
    except OSError as missing:
        output.write(f"{missing}\n".encode())
        return 127, False
    hung = False
    try:
        child.wait(limit)
    except subprocess.TimeoutExpired:
        hung = True
        # A program that dumps its goroutines on SIGQUIT says where it hangs.
        child.send_signal(signal.SIGQUIT)
        try:
            child.wait(3)
        except subprocess.TimeoutExpired:
            pass
    finally:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
    return child.returncode, hung


def ending(status):
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"status {status}"


def judge(done, lines, status, end):
    """Counts the cases that were told, and what the ending says beyond them."""
    running = None
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "start":
            running = rest
            continue
        name = rest.partition(" ")[2]
        running = None
        if word == "ok":
            done.passed += 1
        elif word == "skip":
            done.skipped += 1
        else:
            done.failed.append(name)
    total = TOTALS.findall(done.output)
    if running is not None:
        done.failed.append(f"{running} ({end})")
    elif not lines and not done.hung and total:
        # A script that counts for itself.
        passed, failed, skipped = (int(n or 0) for n in total[-1])
        done.passed, done.skipped = passed, skipped
        done.failed += re.findall(r"^FAIL\w*:? +(.+)$", done.output, re.MULTILINE)[:failed]
        done.failed += ["a case that was not named"] * (failed - len(done.failed))
    elif not lines and status == SKIPPED:
        done.skipped += 1
    elif not lines and status == 0 and not done.hung and "No tests ran" not in done.output:
        done.passed += 1
    elif not lines and status == 0 and not done.hung:
        done.failed.append("no case was run")
    if (status not in (0, SKIPPED) or done.hung) and not done.failed:
        done.failed.append(f"the program itself ({end})")
