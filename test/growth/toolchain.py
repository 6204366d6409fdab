# SPDX-License-Identifier: MIT
"""Compiling and linking by hand against one build of the library: what matrix.py and mix_test.py
have in common. Everything of a user's program is chosen here, flag by flag."""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
# As they must stand on a linker's command line.
LAYERS = ["net", "sync", "chan", "runtime", "stack", "arch", "base"]
COMPILERS = {
    ("x86_64", "gcc"): ["g++"],
    ("x86_64", "clang"): ["clang++-19"],
    ("aarch64", "gcc"): ["aarch64-linux-gnu-g++"],
    ("aarch64", "clang"): ["clang++-19", "--target=aarch64-linux-gnu"],
}
# What plain_host.cc prints for a subject that is right.
PASSED = re.compile(r": ok, \d+ hops$")
EMULATOR = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]


class failed(Exception):
    """A tool or a program failed; the text is what it said."""


class absent(Exception):
    """A tool is not installed; the text names it."""


def run(argv, limit=300, env=None, cwd=None):
    """The output, both streams in one."""
    try:
        done = subprocess.run(argv, timeout=limit, env=env, cwd=cwd, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
    except FileNotFoundError:
        raise absent(argv[0]) from None
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode("utf-8", "replace")
        raise failed(f"{' '.join(argv)}\nstill running after {limit} s\n{said}") from None
    if done.returncode != 0:
        said = "\n".join(line for line in done.stdout.split("\n") if not PASSED.search(line))
        raise failed(f"{' '.join(argv)}\nended with status {done.returncode}\n{said}")
    return done.stdout


class library:
    """One build of the library, and the pass that belongs to it (none: `plain`)."""

    def __init__(self, cpu, folder, plain=False):
        self.cpu = cpu
        self.folder = os.path.abspath(folder)
        self.plain = plain
        self.archives = []
        for layer in LAYERS:
            found = glob.glob(os.path.join(self.folder, "**", f"libpirn-{layer}.a"), recursive=True)
            if not found:
                raise absent(f"libpirn-{layer}.a below {self.folder}")
            self.archives += found
        if not plain and not os.path.exists(os.path.join(self.pass_folder(), "as")):
            raise absent(os.path.join(self.pass_folder(), "as"))
        # The part that names it, if it was built with it, wants it after the C library.
        self.needs_mimalloc = "mi_malloc" in run(["nm", "-u", self.archives[-1]])

    def pass_folder(self):
        return os.path.join(self.folder, "split")

    def wrapper(self):
        return EMULATOR if self.cpu == "aarch64" else []


class toolchain:
    """One compiler with one set of flags. `flags` are for compiling and linking, as users give
    them to both; `link` for linking alone."""

    def __init__(self, made, compiler, flags=(), link=()):
        self.made = made
        self.command = COMPILERS[made.cpu, compiler]
        self.flags = list(flags)
        self.link_flags = list(link)
        if shutil.which(self.command[0]) is None:
            raise absent(self.command[0])
        linker = [flag.split("=")[1] for flag in self.link_flags if flag.startswith("-fuse-ld=")]
        for name in linker:
            if not self._has_linker(name):
                raise absent(f"ld.{name}")
        self._link_more = []
        if "lld" in linker and self.command[0].startswith("aarch64-linux-gnu-"):
            # It looks for a program of that name among its own only; the linker serves each CPU.
            self._linkers = tempfile.TemporaryDirectory(prefix="pirn-linker-")
            os.symlink(shutil.which("ld.lld"), os.path.join(self._linkers.name, "ld.lld"))
            self._link_more = [f"-B{self._linkers.name}/"]
        split = [] if made.plain else [f"-B{made.pass_folder()}/"]
        self._ours = [*split, *(["-DPIRN_SPLIT", "-funwind-tables"] if split else [])]
        self._ours_link = [*split, *self._link_more, "-Wl,-z,now"]
        if split and compiler == "clang":
            self._ours += ["-fno-integrated-as"]
            self._ours_link += ["-fno-integrated-as"]
        self._includes = ["-I", ROOT] + [part for folder in
                                         sorted(glob.glob(os.path.join(ROOT, "*", "include")))
                                         for part in ("-I", folder)]

    def _has_linker(self, name):
        if self.command[0].startswith("aarch64-linux-gnu-") and name != "lld":
            return shutil.which(f"aarch64-linux-gnu-ld.{name}") is not None
        return shutil.which(f"ld.{name}") is not None

    def compile(self, source, to, *more, foreign=False):
        """Compiles as ours, through the pass; foreign code knows nothing of us."""
        how = ["-std=c++23", "-O2", "-fPIC", "-I", ROOT] if foreign else [
            "-std=c++23", *self._includes, *self._ours, *self.flags, "-w"]
        run([*self.command, *how, *more, "-c", source, "-o", to])
        return to

    def link(self, objects, to, *more):
        """Links a program with the library; `more` stands right behind the objects."""
        libraries = list(self.made.archives)
        if self.made.needs_mimalloc:
            libraries += ["-l:libstdc++.so.6", "-l:libc.so.6", "-lmimalloc"]
        run([*self.command, *self.flags, *self._ours_link, *self.link_flags, *objects, *more,
             *libraries, "-pthread", "-o", to])
        return to

    def link_shared(self, objects, to):
        """A shared object, which finds the library in the program that loads it."""
        run([*self.command, *self.flags, *self._ours_link, *self.link_flags, "-shared", *objects,
             "-o", to])
        return to

    def boost(self, folder):
        """Flags that show it Boost's headers and nothing else of this machine's include folder,
        which is not what a compiler for another CPU is to see."""
        headers = next((path for path in ("/usr/include", "/usr/local/include")
                        if os.path.exists(os.path.join(path, "boost", "beast", "http.hpp"))), None)
        if headers is None:
            raise absent("<boost/beast/http.hpp>")
        link = os.path.join(folder, "include", "boost")
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if not os.path.islink(link):
            os.symlink(os.path.join(headers, "boost"), link)
        return ["-isystem", os.path.dirname(link)]

    def run(self, program, *arguments, limit=120, env=None):
        slower = 5 if self.made.wrapper() else 1
        return run([*self.made.wrapper(), program, *arguments], limit * slower,
                   {**os.environ, **(env or {})})


def in_parallel(jobs):
    """Runs functions at once, as many as there are CPUs; the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]
