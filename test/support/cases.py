# SPDX-License-Identifier: MIT
"""Named test cases for the test scripts, told to the driver in the form that main.cc uses too.

A script makes one `cases` object and calls run(name, function) for each case. A case passes when
its function returns, fails when it raises, and is skipped when it raises `skip`. Where
PIRN_TEST_CASES names a file, one line is added to it at the start and at the end of each case:

    start NAME | ok SECONDS NAME | fail SECONDS NAME | skip SECONDS NAME

so that the driver counts cases, and can name the one that never ended. Without the variable the
script still prints what failed and ends with status 1.
"""

import os
import subprocess
import sys
import time
import traceback


class skip(Exception):
    """Raised by a case that cannot run here; the text says why."""


class failure(Exception):
    """Raised by a case that failed; the text is the whole report."""


class cases:
    def __init__(self):
        path = os.environ.get("PIRN_TEST_CASES")
        self._file = open(path, "a", encoding="utf-8") if path else None
        self._counts = {"ok": 0, "fail": 0, "skip": 0}

    def run(self, name, function):
        self._tell(f"start {name}")
        began = time.monotonic()
        outcome = "ok"
        try:
            function()
        except skip as reason:
            outcome = "skip"
            print(f"skipped: {name}: {reason}", flush=True)
        except failure as report:
            outcome = "fail"
            print(f"FAILED: {name}\n{report}", flush=True)
        except Exception:
            outcome = "fail"
            print(f"FAILED: {name}\n{traceback.format_exc()}", flush=True)
        self._counts[outcome] += 1
        self._tell(f"{outcome} {time.monotonic() - began:.3f} {name}")

    def finish(self):
        """Prints the totals and ends the script; the status is 0 when nothing failed."""
        line = f"{self._counts['ok']} passed, {self._counts['fail']} failed"
        if self._counts["skip"]:
            line += f", {self._counts['skip']} skipped"
        print(line, flush=True)
        sys.exit(1 if self._counts["fail"] else 0)

    def _tell(self, line):
        if self._file:
            self._file.write(line + "\n")
            self._file.flush()


def command(argv, timeout=120, env=None, cwd=None, text=""):
    """Runs argv on the input `text` and returns its output; fails with all of it if it fails."""
    try:
        done = subprocess.run(argv, timeout=timeout, env=env, cwd=cwd, text=True, input=text,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired as late:
        raise failure(f"{' '.join(map(str, argv))}\nstill running after {late.timeout} s") from None
    if done.returncode != 0:
        raise failure(f"{' '.join(map(str, argv))}\nended with status {done.returncode}\n"
                      f"{done.stdout}{done.stderr}")
    return done.stdout
