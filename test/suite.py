#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds the project in several ways and runs every test of each; behind `./run test`.

The ways, each in build/NAME:
  gcc      gcc, optimized, with the debug assertions; the examples and the installation too
  clang    clang 19, as released
  lto      gcc, as released, link-time optimized: what a compiler may do when it sees everything
  aarch64  the cross compiler, with the debug assertions; run under qemu-user
  perturb  gcc, with the debug assertions, a hop at every check of the stack and poisoned blocks
and, when asked for by --way (goroutines are on large stacks there, which the tools know):
  asan, tsan, ubsan  gcc's sanitizers
Warnings are errors in each, for the compilers that the project promises this for. A line is printed
for each test program, the output of a failed one in full, and at the end one line of totals, which
counts test cases.
"""

import argparse
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "support"))

import program  # noqa: E402
from build import ROOT, build, build_failed  # noqa: E402

# Where these are the compilers, a warning is an error; newer ones know newer warnings.
WARNING_FREE = {"g++": "12", "clang++-19": "19", "aarch64-linux-gnu-g++": "12"}
# Seconds that a program may take: where its meson.build says nothing; at the most, however slow the
# way; and the test scripts.
DEFAULT_LIMIT = 60
LONGEST_LIMIT = 400
SCRIPT_LIMIT = 600
MATRIX_LIMIT = 7200


class way:
    """One way to build and run: see the list above."""

    def __init__(self, name, compiler, setup, options, wrapper=(), slower=1, without=(),
                 env=None):
        self.build = build(name, setup, compiler)
        self.name = name
        self.options = {"tests": "true", **options}
        self.wrapper = list(wrapper)
        # How much longer a program may take than in a plain build.
        self.slower = slower
        # The folders of tests that this way would only repeat.
        self.without = without
        self.env = env or {}
        self.long = False

    def tests(self):
        """What Meson knows as tests here, without or only those that take minutes by design."""
        return [test for test in self.build.introspect("--tests")
                if self.long == any(suite.split(":")[-1] == "long" for suite in test["suite"])
                and not any(f"/{folder}/" in part for folder in self.without
                            for part in test["cmd"][:2])]

    def configure(self):
        version = subprocess.run([self.build.compiler, "-dumpversion"], text=True,
                                 stdout=subprocess.PIPE).stdout
        strict = version.split(".")[0].strip() == WARNING_FREE[self.build.compiler]
        self.build.configure({**self.options, "werror": "true" if strict else "false"})

    def compile(self):
        """All of it, or, where tests are left out, what the others need."""
        targets = []
        if self.without:
            needed = {name for test in self.tests() for name in test["depends"]}
            targets = [os.path.relpath(path, self.build.folder)
                       for target in self.build.introspect("--targets") if target["id"] in needed
                       for path in target["filename"]]
        self.build.compile(targets)


EVERYTHING = {"examples": "true", "bench": "true", "mimalloc": "enabled"}
WAYS = [
    way("gcc", "g++", ["--buildtype=debugoptimized"], {**EVERYTHING, "checks": "true"}),
    way("clang", "clang++-19", ["--buildtype=release"], EVERYTHING),
    way("lto", "g++", ["--buildtype=release", "-Db_lto=true"], {"mimalloc": "enabled"},
        # What chooses its flags itself.
        without=("test/arch", "test/split")),
    way("aarch64", "aarch64-linux-gnu-g++",
        ["--buildtype=release", "--cross-file", os.path.join(ROOT, "cross", "aarch64.ini")],
        {"checks": "true", "mimalloc": "disabled"},
        ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"], slower=5),
    way("perturb", "g++", ["--buildtype=release"],
        {"checks": "true", "perturb": "true", "mimalloc": "enabled"}, slower=5,
        without=("test/arch", "test/split")),
]
# Not among the default ones. What goroutines that a run has dropped leave behind is no leak that a
# tool should report; tests ask for more memory than there is, and have runs in forked children.
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
    "TSAN_OPTIONS": "allocator_may_return_null=1:die_after_fork=0",
}
SANITIZERS = [
    way(name, "g++", ["--buildtype=debugoptimized", f"-Db_sanitize={sanitizer}"],
        {"mimalloc": "auto"}, slower=10, without=("test/arch", "test/split"), env=SANITIZER_ENV)
    for name, sanitizer in (("asan", "address"), ("tsan", "thread"), ("ubsan", "undefined"))
]


class report:
    """The lines that people read, and the totals."""

    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failed = []

    def line(self, where, name, done, times=1):
        verdict = "FAIL" if done.failed else "ok" if done.passed else "skip"
        cases = done.passed + done.skipped + len(done.failed)
        counted = f"{cases} case{'s' if cases != 1 else ' '}"
        if times > 1:
            counted += f" in {times} runs"
        print(f"{verdict:4}  {where:8} {name:32} {counted:12} {done.seconds:7.1f} s", flush=True)
        self.passed += done.passed
        self.skipped += done.skipped
        self.failed += [f"{where}/{name}: {case}" for case in done.failed]

    def step(self, where, name, function):
        """A step that is one case, such as a build; whether it succeeded."""
        done = program.result()
        began = time.monotonic()
        try:
            function()
            done.passed = 1
        except build_failed as failed:
            done.failed = [str(failed).split("\n")[0]]
            done.output = str(failed)
        done.seconds = time.monotonic() - began
        self.line(where, name, done)
        if done.failed:
            print(done.output, flush=True)
        return not done.failed

    def run(self, where, name, argv, limit, env=None, cwd=None, times=1):
        """A program, `times` times; a hang ends the repetitions, because each costs its limit."""
        total = program.result()
        for number in range(1, times + 1):
            done = program.run(argv, limit, env, cwd)
            total.passed += done.passed
            total.skipped += done.skipped
            total.seconds += done.seconds
            total.failed += done.failed
            if done.failed:
                which = f", run {number} of {times}" if times > 1 else ""
                print(f"----  {where} {name}{which}: {'; '.join(done.failed)}\n"
                      f"{done.output.rstrip()}\n----", flush=True)
            if done.hung:
                break
        self.line(where, name, total, times)

    def finish(self):
        if self.failed:
            print("\nfailed:")
            for name in self.failed:
                print(f"  {name}")
        totals = f"{self.passed} passed, {len(self.failed)} failed"
        if self.skipped:
            totals += f", {self.skipped} skipped"
        print(totals, flush=True)
        return 1 if self.failed else 0


def run_tests(to, made, wanted, times):
    """The tests of one build, or those whose name contains a wanted word."""
    for test in made.tests():
        name = test["name"]
        if wanted and not any(word in name for word in wanted):
            continue
        env = {**made.env, **test["env"]}
        if made.wrapper:
            # As `meson test` does it: a test that starts programs of its own needs it as well.
            env["MESON_EXE_WRAPPER"] = " ".join(made.wrapper)
        argv = test["cmd"]
        if argv[0].startswith(made.build.folder + os.sep):
            argv = made.wrapper + argv
        limit = test["timeout"] if test["timeout"] > 0 else DEFAULT_LIMIT
        if not made.long:
            limit = min(limit * made.slower, LONGEST_LIMIT)
        folder = test["workdir"] or made.build.folder
        to.run(made.name, name, argv, limit, env, folder, times)


def script(*path):
    return os.path.join(HERE, *path)


def build_way(to, made):
    def steps():
        made.configure()
        made.compile()
    return to.step(made.name, "builds without warnings", steps)


def everything(to, arguments):
    if not arguments.program and arguments.repeat == 1:
        to.run("-", "the driver itself", [sys.executable, script("support", "program_test.py")], 60)
        to.run("-", "conventions", [sys.executable, script("tidy", "tidy.py")], 120)
    chosen = [made for made in WAYS + SANITIZERS if made.name in arguments.way]
    for made in chosen:
        made.long = arguments.long
        if not build_way(to, made):
            continue
        run_tests(to, made, arguments.program, arguments.repeat)
        if (made.name == "gcc" and not arguments.program and arguments.repeat == 1
                and not arguments.long):
            run_scripts(to, made, arguments.quick)
    if arguments.matrix:
        folders = [f"{cpu}={made.build.folder}" for made in WAYS
                   for cpu in [{"gcc": "x86_64", "aarch64": "aarch64"}.get(made.name)]
                   if cpu and made in chosen]
        to.run("-", "matrix of compilers and flags",
               [sys.executable, script("growth", "matrix.py"), *folders], MATRIX_LIMIT)


def run_scripts(to, made, quick):
    """The tests that are not programs of one build."""
    examples = os.path.join(ROOT, "examples", "test_examples.py")
    if os.path.exists(examples):
        to.run(made.name, "examples", [sys.executable, examples, "--builddir", made.build.folder],
               SCRIPT_LIMIT, cwd=ROOT)
    if not quick:
        to.run("-", "installation", [sys.executable, script("install", "install_test.py"),
                                     os.path.join(ROOT, "build", "install")], SCRIPT_LIMIT)


def parse():
    names = [made.name for made in WAYS]
    others = [made.name for made in SANITIZERS]
    parser = argparse.ArgumentParser(
        prog="./run test", description="Builds the project in several ways and runs its tests.")
    parser.add_argument("program", nargs="*",
                        help="run only the test programs whose name contains this word")
    parser.add_argument("--quick", action="store_true", help="gcc only, without the installation")
    parser.add_argument("--way", action="append", choices=names + others,
                        help=f"only this way to build ({', '.join(names + others)}); may be "
                             "repeated")
    parser.add_argument("--matrix", action="store_true",
                        help="also the programs for growing stacks with every compiler, flag and "
                             "linker, on both CPUs: an hour or so")
    parser.add_argument("--long", action="store_true",
                        help="only the tests that take minutes, which are left out else")
    parser.add_argument("--repeat", type=int, default=1, metavar="N",
                        help="run the test programs N times; PIRN_TEST_PROCS=1,2,4,8 says on how "
                             "many processors each case runs (default way: gcc)")
    arguments = parser.parse_args()
    if arguments.repeat < 1:
        parser.error("--repeat needs a number from 1")
    if not arguments.way:
        arguments.way = ["gcc"] if arguments.quick or arguments.repeat > 1 else names
    return arguments


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    arguments = parse()
    signal.signal(signal.SIGTERM, interrupted)
    # Ignored by what a shell runs in the background; the programs see what the user's would.
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    # Programs that must die do so without leaving a core of this size behind.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    to = report()
    try:
        everything(to, arguments)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(to.finish())


main()
