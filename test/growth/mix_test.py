#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Links objects that were compiled for growing stacks with objects that were not, in every order.

usage: mix_test.py [--plain] [--compiler gcc|clang] [--only PATTERN] CPU=BUILDDIR ...

The programs of mix/ share inline functions, instances, weak functions, archives and a shared
object. Each link is a case: which of them went through the pass, the order of the objects, the
compiler, the linker. A compiler or linker that is not installed is skipped, and named.
"""

import argparse
import itertools
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

from cases import cases, failure, skip  # noqa: E402
from toolchain import HERE, absent, failed, in_parallel, library, run, toolchain  # noqa: E402

MIX = os.path.join(HERE, "mix")
LINKERS = ["bfd", "gold", "lld"]
# Of these there is an object of each world.
OF_BOTH = ["instance", "optional", "first_member", "second_member", "shared"]


class objects:
    """Every source of mix/, compiled once for each world that needs it."""

    def __init__(self, made, compiler, folder):
        self.tools = toolchain(made, compiler, ["-O2", "-fPIC"])
        self.folder = folder
        jobs = [lambda name=name: self._compile(name, False)
                for name in ["ours", *OF_BOTH, "../plain_host", "../subject"]]
        jobs += [lambda name=name: self._compile(name, True) for name in ["theirs", *OF_BOTH]]
        jobs += [lambda: self._compile("theirs", True, "_strong", "-DMIXED_OVERRIDES")]
        in_parallel(jobs)
        for world in ("ours", "foreign"):
            run(["ar", "rcs", self.path(f"members_{world}.a"),
                 self.path(f"first_member_{world}.o"), self.path(f"second_member_{world}.o")])

    def path(self, name):
        return os.path.join(self.folder, name)

    def _compile(self, name, foreign, suffix="", *more):
        world = "foreign" if foreign else "ours"
        to = self.path(f"{os.path.basename(name)}_{world}{suffix}.o")
        self.tools.compile(os.path.join(MIX, name + ".cc"), to, *more, foreign=foreign)


class one_link:
    """A program of these objects."""

    def __init__(self, made, compiler, linker, world, theirs_first, strong, maybe):
        self.name = (f"{made.cpu} {compiler} {linker}, the rest {world}, "
                     f"{'theirs' if theirs_first else 'ours'} first"
                     f"{', override' if strong else ''}{', optional' if maybe else ''}")
        self.made = made
        self.compiler = compiler
        self.linker = linker
        self.world = world
        self.theirs_first = theirs_first
        self.strong = strong
        self.maybe = maybe

    def __call__(self, made_objects):
        at = made_objects.path
        tools = toolchain(self.made, self.compiler, ["-O2", "-fPIC"], [f"-fuse-ld={self.linker}"])
        mine = [at("ours_ours.o"), at("plain_host_ours.o"), at("subject_ours.o")]
        theirs = [at(f"theirs_foreign{'_strong' if self.strong else ''}.o"),
                  at(f"instance_{self.world}.o")]
        if self.maybe:
            theirs.append(at(f"optional_{self.world}.o"))
        linked = theirs + mine if self.theirs_first else mine + theirs
        shared = at(f"libmixed_{self.linker}_{self.world}.so")
        tools.link_shared([at(f"shared_{self.world}.o")], shared)
        program = tools.link([*linked, at(f"members_{self.world}.a"), shared], at("mixed"),
                             f"-Wl,-rpath,{made_objects.folder}")
        tools.run(program, env={"PIRN_TEST_PROCS": "1,4",
                                "MIX_HOOK": "300" if self.strong else "3",
                                "MIX_MAYBE": "11" if self.maybe else "-1"})


def all_links(made, compiler):
    for linker, world, theirs_first in itertools.product(LINKERS, ("ours", "foreign"),
                                                         (False, True)):
        # Half of what these two could be: each value meets each linker, world and order.
        strong = theirs_first == (world == "ours")
        yield one_link(made, compiler, linker, world, theirs_first, strong, theirs_first)
        yield one_link(made, compiler, linker, world, theirs_first, not strong, not theirs_first)


def run_links(group, made, compiler, words):
    links = [link for link in all_links(made, compiler)
             if all(re.search(word, link.name) for word in words)]
    if not links:
        return
    with tempfile.TemporaryDirectory(prefix="pirn-mix-") as folder:
        built = []

        def build():
            try:
                built.append(objects(made, compiler, folder))
            except absent as missing:
                raise skip(f"{missing} is not installed") from None
            except failed as why:
                raise failure(str(why)) from None
        group.run(f"{made.cpu} {compiler} compiles", build)

        def check(link):
            try:
                link(built[0])
            except absent as missing:
                raise skip(f"{missing} is not installed") from None
            except failed as why:
                raise failure(str(why)) from None
        for link in links if built else []:
            group.run(link.name, lambda link=link: check(link))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", nargs="+", metavar="CPU=BUILDDIR")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN",
                        help="links whose name matches this expression; may be repeated")
    parser.add_argument("--compiler", choices=("gcc", "clang"), help="only this one")
    parser.add_argument("--plain", action="store_true", help="without the pass")
    arguments = parser.parse_args()
    group = cases()
    for build in arguments.build:
        cpu, folder = build.split("=", 1)
        try:
            made = library(cpu, folder, plain=arguments.plain)
        except absent as missing:
            sys.exit(f"mix: there is no {missing}")
        for compiler in [arguments.compiler] if arguments.compiler else ["gcc", "clang"]:
            run_links(group, made, compiler, arguments.only)
    group.finish()


if __name__ == "__main__":
    main()
