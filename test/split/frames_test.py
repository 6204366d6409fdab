#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the pass never finds a frame smaller than the one that the compiler knows of.

usage: frames_test.py <folder of the pass> [--all]

Each source is compiled to assembly text with the compiler's own frame sizes (gcc:
-fcallgraph-info=su, clang: -fstack-size-section), and the text is read by the pass. The sources are
this project's and a few that bring in large headers; --all takes every one of them at every level,
else each is taken once, with changing compilers and levels.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from cases import cases, failure, skip  # noqa: E402

LEVELS = ["-O2", "-O0", "-O3", "-Os", "-O1"]
# Where a function has an alloca, gcc counts in what aligning it may take, though not its size. The
# pass counts it where it looks at the size, at run time.
ALLOCA_ALIGNMENT = 16
# For the default run, where a source with large headers takes up to ten seconds.
CHEAP = {"beast.cc", "regex.cc"}
COMPILERS = [
    ("gcc x86_64", ["g++"], "x86_64"),
    ("clang aarch64", ["clang++-19", "--target=aarch64-linux-gnu"], "aarch64"),
    ("gcc aarch64", ["aarch64-linux-gnu-g++"], "aarch64"),
    ("clang x86_64", ["clang++-19"], "x86_64"),
]
INCLUDES = [ROOT, *sorted(glob.glob(os.path.join(ROOT, "*", "include")))]


def sources():
    """The large ones, which take longest, first; then this project's."""
    own = []
    for folder in ("split", "stack", "runtime", "runtime/base", "chan", "sync", "net", "arch"):
        own += glob.glob(os.path.join(ROOT, folder, "*.cc"))
    large = glob.glob(os.path.join(HERE, "large", "*.cc"))
    return sorted(large) + sorted(own)


def uleb(data):
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
    return value


def bytes_of(directive, operands):
    """What a .byte or .ascii directive of clang's lays down."""
    if directive == ".byte":
        return bytes(int(n, 0) for n in operands.split(","))
    text = operands.strip()[1:-1]
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def clang_frames(text):
    """From the .stack_sizes sections: a label before the function's first instruction, a size."""
    name_of, frames, name, at = {}, {}, None, None
    for line in text.splitlines():
        label = re.match(r'"?([^\s":]+)"?:', line)
        if label:
            if label[1].startswith(".Lfunc_begin"):
                name_of[label[1]] = name
            elif not label[1].startswith(".L"):
                name = label[1]
                name_of[name] = name
            continue
        words = line.split(None, 1)
        if not words:
            continue
        if words[0] == ".section":
            at = "sizes" if ".stack_sizes" in line else None
        elif words[0] in (".text", ".data", ".bss"):
            at = None
        elif at == "sizes" and words[0] in (".quad", ".xword"):
            at = words[1].strip()
        elif at and at != "sizes" and words[0] in (".byte", ".ascii"):
            operands = re.sub(r"\s*(#|//).*", "", words[1])
            frames[name_of[at]] = uleb(bytes_of(words[0], operands))
            at = "sizes"
    return frames


def gcc_frames(text, cpu):
    """From the call graph: a node for each function, its label's third line has the size. And the
    names of those that take more as they run."""
    frames, dynamic = {}, set()
    for title, label in re.findall(r'node: \{ title: "([^"]+)" label: "([^"]*)"', text):
        size = re.search(r"\\n(\d+) bytes \((static|dynamic[^)]*)\)", label)
        if size:
            # Titles of local functions have the file before them.
            name = title.rsplit(":", 1)[-1]
            # On x86-64 gcc counts the return address.
            frames[name] = int(size[1]) - (8 if cpu == "x86_64" else 0)
            if size[2] == "dynamic":
                dynamic.add(name)
    return frames, dynamic


def compile_and_compare(passed, compiler, source, level, extra=()):
    name, command, cpu = compiler
    if not shutil.which(command[0]):
        raise skip(f"{command[0]} is not installed")
    with tempfile.TemporaryDirectory() as folder:
        text = os.path.join(folder, "t.s")
        gcc = "gcc" in name
        sizes = "-fcallgraph-info=su" if gcc else "-fstack-size-section"
        includes = [f"-I{i}" for i in INCLUDES + [os.path.join(ROOT, "arch", cpu)]]
        argv = command + ["-std=c++23", level, "-w", "-fPIC", "-funwind-tables", sizes, *extra,
                          *includes, "-S", source, "-o", text]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise failure(f"{' '.join(argv)}\n{done.stderr}")
        with open(text, encoding="latin-1") as file:
            theirs = file.read()
        theirs, dynamic = (
            gcc_frames(open(os.path.join(folder, "t.ci"), encoding="latin-1").read(), cpu)
            if gcc else (clang_frames(theirs), set()))
        found = os.path.join(folder, "frames")
        env = dict(os.environ, PIRN_SPLIT_FRAMES=found, PIRN_AS=shutil.which("true"))
        argv = [os.path.join(passed, f"{cpu}-linux-gnu-as"), text]
        done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
        if done.returncode != 0:
            raise failure(f"{source} {name} {level}:\n{done.stderr}")
        ours, tested = {}, set()
        if os.path.exists(found):
            with open(found, encoding="latin-1") as file:
                for line in file:
                    function, frame, _, _, grows = line.rstrip("\n").rsplit(" ", 4)
                    ours[function] = int(frame)
                    if grows == "1":
                        tested.add(function)
    common = ours.keys() & theirs.keys()
    if theirs and len(common) < 0.9 * len(theirs):
        raise failure(f"{source} {name} {level}: only {len(common)} of {len(theirs)} functions "
                      f"found: {sorted(theirs.keys() - ours.keys())[:5]}")
    missed = sorted((common & dynamic) - tested)
    if missed:
        raise failure(f"{source} {name} {level}: take more as they run, by gcc only: {missed[:20]}")
    lower = [f"{f}: {ours[f]}, the compiler says {theirs[f]}" for f in sorted(common)
             if ours[f] + (ALLOCA_ALIGNMENT if f in dynamic else 0) < theirs[f]]
    if lower:
        raise failure(f"{source} {name} {level}:\n" + "\n".join(lower[:20]))
    higher = sum(ours[f] > theirs[f] for f in common)
    return len(common), higher


def main():
    passed = os.path.abspath(sys.argv[1])
    every = "--all" in sys.argv
    group = cases()
    counts = {}

    def case(number, source):
        """One source: with everything, or with the compiler and level whose turn it is."""
        runs = [(c, level) for c in COMPILERS for level in LEVELS]
        if not every:
            runs = [(COMPILERS[number % 4], LEVELS[number // 4 % 5])]
            if os.path.basename(source) in CHEAP:
                runs = [(COMPILERS[number % 4], "-O1")]
        return [compile_and_compare(passed, c, source, level) for c, level in runs]

    work = list(enumerate(sources()))
    with ThreadPoolExecutor(max_workers=2) as pool:
        results = [(source, pool.submit(case, number, source)) for number, source in work]
        for source, result in results:
            name = os.path.relpath(source, ROOT)

            def look(result=result, name=name):
                counts[name] = result.result()

            group.run(name, look)
    functions = sum(n for runs in counts.values() for n, _ in runs)
    higher = sum(n for runs in counts.values() for _, n in runs)
    print(f"{functions} frames compared, {higher} found larger than the compiler says")
    group.finish()


main()
