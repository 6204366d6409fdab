#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Builds and runs the programs of this folder in many ways; behind `./run test --matrix`.

usage: matrix.py [--quick] [--only PATTERN] [--plain] [--keep DIR] CPU=BUILDDIR ...

For each CPU (x86_64, aarch64) the folder of a build whose libraries and pass are to be used. A row
is a compiler with flags: it compiles the subjects, links one program, and runs it at 1 and 4 Ps. A
row whose tools are not installed is skipped, and says what is missing. --plain leaves the pass out,
which shows what the subjects themselves think of a row.
"""

import argparse
import glob
import os
import re
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cases import cases, failure, skip  # noqa: E402
from toolchain import HERE, absent, failed, in_parallel, library, toolchain  # noqa: E402

# Large headers, which take longer to compile than all else: in the rows that say so.
SLOW = {"beast.cc", "streams.cc"}
# Not part of this program: it is compiled as a user would, or belongs to the other host.
APART = {"catch_host.cc", "foreign.cc"}
# What linkage.cc calls the subject of ifuncs.
IFUNCS = "resolved when the program starts"
LEVELS = ["-O0", "-O1", "-O2", "-O3", "-Os"]


class row:
    """compiler: gcc or clang; flags for compiling and linking; link: for linking alone."""

    def __init__(self, compiler, flags, link=(), cpu=None, quick=False, slow_headers=False,
                 level="-O2"):
        self.compiler = compiler
        self.flags = ([level] if level else []) + flags.split()
        self.link = list(link)
        self.cpu = cpu
        self.quick = quick
        self.slow_headers = slow_headers

    def name(self, cpu):
        return " ".join([cpu, self.compiler, *self.flags, *self.link])


def of_both(flags, **more):
    return [row(compiler, flags, **more) for compiler in ("gcc", "clang")]


def all_rows():
    rows = [row(compiler, "", level=level, slow_headers=level in ("-O0", "-O2", "-O3"),
                quick=(compiler, level) in (("gcc", "-O0"), ("gcc", "-O2"), ("clang", "-O2")))
            for compiler in ("gcc", "clang") for level in LEVELS]
    rows += of_both("-fPIC -pie")
    rows += of_both("-fno-pic -no-pie")
    rows += of_both("-static", slow_headers=True)
    rows += of_both("-fno-omit-frame-pointer")
    rows += of_both("-fomit-frame-pointer", level="-O0")
    rows += of_both("-fomit-frame-pointer -momit-leaf-frame-pointer", cpu="aarch64")
    rows += of_both("-fstack-clash-protection")
    rows += of_both("-fstack-clash-protection", level="-O0")
    rows += of_both("-fstack-protector-strong")
    rows += of_both("-fstack-protector-all", level="-Os")
    rows += of_both("-fcf-protection=full", cpu="x86_64", quick=True)
    rows += of_both("-mbranch-protection=standard", cpu="aarch64", quick=True)
    rows += of_both("-mbranch-protection=bti", cpu="aarch64")
    rows += of_both("-fno-plt")
    rows += of_both("-ffunction-sections -fdata-sections", link=["-Wl,--gc-sections"])
    for linker in ("bfd", "gold", "lld"):
        rows += of_both("", link=[f"-fuse-ld={linker}"])
    rows += of_both("-g -pipe")
    rows += of_both("-fno-asynchronous-unwind-tables")
    rows += of_both("-fno-jump-tables")
    rows += [row("gcc", "-flto", quick=True), row("gcc", "-flto -ffat-lto-objects", level="-O3"),
             row("gcc", "-flto", link=["-fuse-ld=gold"]),
             # Its check of calls through pointers to members knows one way to derive only.
             row("gcc", "-fsanitize=undefined -fno-sanitize=vptr -fno-sanitize-recover"),
             row("gcc", level="-O1", flags="-fsanitize=undefined -fno-sanitize=vptr "
                                           "-fsanitize-undefined-trap-on-error"),
             # Words before a function's entry are the marker's place.
             row("clang", "-fsanitize=undefined -fno-sanitize=function -fsanitize-trap=undefined",
                 level="-O1"),
             row("gcc", "-fno-ipa-ra"), row("gcc", "-fipa-ra -fipa-pta", level="-O1"),
             row("gcc", "-fno-split-stack -fno-optimize-sibling-calls"),
             row("gcc", "-freorder-functions -freorder-blocks-and-partition", level="-O3"),
             row("gcc", "-fno-inline -fno-shrink-wrap"), row("gcc", "", level="-Og")]
    rows += of_both("-march=native", cpu="x86_64", level="-O3", quick=True)
    rows += of_both("-mavx2 -mno-red-zone", cpu="x86_64")
    rows += of_both("-march=armv8.5-a+sve", cpu="aarch64", level="-O3")
    rows += of_both("-mno-outline-atomics", cpu="aarch64")
    return rows


class combination:
    """One row on one CPU."""

    def __init__(self, of, made, keep):
        self.of = of
        self.made = made
        self.keep = keep

    def sources(self):
        found = glob.glob(os.path.join(HERE, "*.cc"))
        found += [path for path in glob.glob(os.path.join(HERE, self.made.cpu, "*"))
                  if path.endswith((".cc", ".S"))]
        return sorted(path for path in found if os.path.basename(path) not in APART
                      and (self.of.slow_headers or os.path.basename(path) not in SLOW))

    def __call__(self):
        if "-static" in self.of.flags and self.made.needs_mimalloc:
            raise skip("the library was built with mimalloc, which is a shared library")
        try:
            with tempfile.TemporaryDirectory(prefix="pirn-matrix-") as folder:
                self.build_and_run(self.keep or folder)
        except absent as missing:
            raise skip(f"{missing} is not there") from None
        except failed as why:
            raise failure(str(why)) from None

    def build_and_run(self, folder):
        tools = toolchain(self.made, self.of.compiler, self.of.flags, self.of.link)

        def compile_one(source):
            name = source[len(HERE) + 1:].replace("/", "_") + ".o"
            more = tools.boost(folder) if source.endswith("beast.cc") else []
            return tools.compile(source, os.path.join(folder, name), *more)
        objects = in_parallel([lambda source=source: compile_one(source)
                               for source in self.sources()])
        objects.append(tools.compile(os.path.join(HERE, "foreign.cc"),
                                     os.path.join(folder, "foreign.o"), foreign=True))
        program = tools.link(objects, os.path.join(folder, "growth"))
        # An emulator is slow, and each subject says for itself whether it takes long there.
        only = ["-q"] if self.made.wrapper() else []
        if self.made.cpu == "aarch64" and "-fuse-ld=gold" in self.of.link:
            # gold gives the resolver as the address of a local ifunc there, with or without us.
            only.append("-x" + IFUNCS)
            print(f"left out because of gold: {IFUNCS}", flush=True)
        tools.run(program, *only, env={"PIRN_TEST_PROCS": "1,4"})


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", nargs="+", metavar="CPU=BUILDDIR")
    parser.add_argument("--quick", action="store_true", help="a handful of rows")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN",
                        help="rows whose name matches this expression; may be repeated")
    parser.add_argument("--plain", action="store_true", help="without the pass")
    parser.add_argument("--keep", metavar="DIR", help="leave objects and program there")
    arguments = parser.parse_args()
    if arguments.keep:
        os.makedirs(arguments.keep, exist_ok=True)
    return arguments


def main():
    arguments = parse()
    group = cases()
    try:
        made = [library(*build.split("=", 1), plain=arguments.plain) for build in arguments.build]
    except absent as missing:
        sys.exit(f"matrix: there is no {missing}")
    for of in all_rows():
        for library_of_cpu in made:
            name = of.name(library_of_cpu.cpu)
            if of.cpu not in (None, library_of_cpu.cpu) or (arguments.quick and not of.quick):
                continue
            if not all(re.search(word, name) for word in arguments.only):
                continue
            group.run(name, line_for(name, combination(of, library_of_cpu, arguments.keep)))
    group.finish()


def line_for(name, function):
    """The function, with a line printed for what came of it."""
    def told():
        began = time.monotonic()
        outcome = "FAIL"
        try:
            function()
            outcome = "ok"
        except skip:
            outcome = "skip"
            raise
        finally:
            print(f"{outcome:4}  {name:70} {time.monotonic() - began:6.1f} s", flush=True)
    return told


if __name__ == "__main__":
    main()
