# SPDX-License-Identifier: MIT
"""Runs programs that must end in a certain way and compares how they did.

Each argument is PROGRAM=SOURCE. The source's first comment lines say what is expected:
    // EXPECT status N            the exit status (default 0)
    // EXPECT stderr: TEXT        is in standard error, after the texts expected before it
    // EXPECT stdout: TEXT        is in standard output, likewise
    // EXPECT stderr like: REGEX  as `stderr`, where the letters are not known; `stdout like` too
    // EXPECT not stderr: TEXT    is not in standard error
    // EXPECT env: NAME=VALUE     is set for it
    // EXPECT procs: N...         it is run at so many Ps, instead of 1, 2 and 4
Every program is run at each number of Ps (PIRN_MAXPROCS), each run is a case.
"""

import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cases import cases, failure  # noqa: E402

LIMIT = 60
EXPECT = re.compile(
    r"^// EXPECT (status|not stderr|(?:stderr|stdout)(?: like)?|env|procs):? ?(.*)$")


class expectation:
    def __init__(self, source):
        self.status = 0
        self.texts = {"stderr": [], "stdout": [], "not stderr": []}
        self.env = {}
        self.procs = [1, 2, 4]
        with open(source, encoding="utf-8") as file:
            for line in file:
                match = EXPECT.match(line.rstrip("\n"))
                if not match:
                    if line.startswith("// EXPECT"):
                        raise SystemExit(f"{source}: not understood: {line}")
                    continue
                kind, text = match.groups()
                if kind == "status":
                    self.status = int(text.split(":")[0])
                elif kind == "env":
                    name, value = text.split("=", 1)
                    self.env[name] = value
                elif kind == "procs":
                    self.procs = [int(number) for number in text.split()]
                elif kind.endswith(" like"):
                    self.texts[kind.split()[0]].append(text)
                else:
                    self.texts[kind].append(text if kind == "not stderr" else re.escape(text))

    def check(self, status, outputs):
        """What is wrong, or None."""
        if status != self.status:
            return f"status {status} instead of {self.status}"
        for kind in ("stdout", "stderr"):
            at = 0
            for text in self.texts[kind]:
                found = re.compile(text).search(outputs[kind], at)
                if not found:
                    return f"{kind} lacks: {text}"
                at = found.end()
        for text in self.texts["not stderr"]:
            if text in outputs["stderr"]:
                return f"stderr has: {text}"
        return None


def run_one(program, expected, procs):
    wrapper = os.environ.get("MESON_EXE_WRAPPER", "").split()
    env = {**os.environ, "PIRN_MAXPROCS": str(procs), **expected.env}
    try:
        done = subprocess.run(wrapper + [program], env=env, timeout=LIMIT, text=True,
                              errors="replace", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as missing:
        raise failure(f"{program}: {missing}") from None
    except subprocess.TimeoutExpired as late:
        said = (late.stderr or b"").decode("utf-8", "replace")
        raise failure(f"{program} still ran after {LIMIT} s\n{said}") from None
    wrong = expected.check(done.returncode, {"stdout": done.stdout, "stderr": done.stderr})
    if wrong:
        raise failure(f"{program}: {wrong}\nstdout:\n{done.stdout}\nstderr:\n{done.stderr}")


def main():
    to = cases()
    for pair in sys.argv[1:]:
        program, source = pair.split("=", 1)
        expected = expectation(source)
        for procs in expected.procs:
            to.run(f"{os.path.basename(program)} on {procs}",
                   lambda: run_one(program, expected, procs))
    to.finish()


main()
