#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs the library as a user does and builds programs outside the tree with what was installed.

usage: install_test.py BUILDDIR. The folder is made and configured here, with the defaults that a
user gets, and its prefix lies in it.
"""

import glob
import os
import shlex
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "support"))
sys.path.insert(0, os.path.join(HERE, "..", "tidy"))

from cases import cases, command, failure, skip  # noqa: E402
from layers import LAYERS, UMBRELLA, layer_of  # noqa: E402

# What the interface promises, by the layer that must bring it once it exists.
PROMISED = {
    "runtime": ["runtime.h", "sleep.h", "io.h", "debug.h"],
    "chan": ["chan.h"],
    "sync": ["sync.h"],
    "net": ["net.h", "pirn.h"],
}
COMPILERS = ["g++", "clang++-19"]
LINKERS = ["bfd", "gold", "lld"]
STRICT = ["-std=c++23", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]


def in_tree_headers():
    paths = glob.glob(os.path.join(ROOT, "*", "include", "pirn", "*.h"))
    return sorted(os.path.relpath(path, ROOT) for path in paths)


class installation:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.prefix = os.path.join(self.build, "prefix")
        self.programs = os.path.join(self.build, "outside")

    def install(self):
        """Builds with the user's defaults; mimalloc must be there, or the test of it is void."""
        shutil.rmtree(self.build, ignore_errors=True)
        command(["meson", "setup", self.build, ROOT, f"--prefix={self.prefix}",
                 "-Dmimalloc=enabled"])
        command(["ninja", "-C", self.build, "-j", str(os.cpu_count())], timeout=600)
        command(["meson", "install", "-C", self.build, "--no-rebuild", "--quiet"])
        os.makedirs(self.programs, exist_ok=True)

    def found(self, pattern):
        return sorted(os.path.basename(path) for path in
                      glob.glob(os.path.join(self.prefix, pattern), recursive=True))

    def what_is_installed(self):
        headers = [os.path.basename(path) for path in in_tree_headers()]
        if self.found("include/pirn/*.h") != sorted(headers):
            raise failure(f"headers: {self.found('include/pirn/*.h')}, expected {sorted(headers)}")
        layers = [name for name in LAYERS if name not in ("base", "split")
                  and os.path.exists(os.path.join(ROOT, name, "meson.build"))]
        libraries = sorted(f"libpirn-{name}.a" for name in layers + ["base"])
        if self.found("lib/**/*.a") != libraries:
            raise failure(f"libraries: {self.found('lib/**/*.a')}, expected {libraries}")
        everything = [path for path in self.found("**") if "." in path]
        if sorted(everything) != sorted(headers + libraries + ["pirn.pc"]):
            raise failure(f"more was installed than asked for: {sorted(everything)}")

    def promised_headers(self):
        for layer, names in PROMISED.items():
            if not os.path.exists(os.path.join(ROOT, layer, "meson.build")):
                continue
            for name in names:
                if name not in self.found("include/pirn/*.h"):
                    raise failure(f"<pirn/{name}> is not installed")

    def flags(self, *arguments):
        folder = os.path.dirname(glob.glob(os.path.join(self.prefix, "**", "pirn.pc"),
                                           recursive=True)[0])
        text = command(["pkg-config", *arguments, "pirn"],
                       env={**os.environ, "PKG_CONFIG_PATH": folder})
        return shlex.split(text)

    def order_of_libraries(self):
        """Archives, then the C++ and C libraries, then mimalloc, which exports malloc as well."""
        libraries = [f for f in self.flags("--libs") if f.startswith("-l")]
        ours = [f for f in libraries if f.startswith("-lpirn-")]
        if libraries != ours + ["-l:libstdc++.so.6", "-l:libc.so.6", "-lmimalloc"] or not ours:
            raise failure(f"pkg-config --libs: {libraries}")

    def build_outside(self, compiler, text, *more):
        """Compiles as the README says, in a folder outside the tree; returns the program."""
        if shutil.which(compiler) is None:
            raise skip(f"{compiler} is not installed")
        program = os.path.join(self.programs, "_".join([compiler, os.path.basename(text)[:-3],
                                                        *(m.strip("-=") for m in more)]))
        command([compiler, "-std=c++23", text, *more, *self.flags("--cflags", "--libs"),
                 "-o", program], cwd=self.programs)
        return program

    def outside_program(self, compiler, *more):
        program = self.build_outside(compiler, os.path.join(HERE, "outside.cc"), *more)
        output = command([program], timeout=30)
        if output != "sum 500500\n":
            raise failure(f"printed {output!r}")

    def provenance(self, compiler, linker):
        if linker == "lld" and shutil.which("ld.lld") is None:
            raise skip("ld.lld is not installed")
        text = os.path.join(ROOT, "test", "link", "where.cc")
        program = self.build_outside(compiler, text, f"-fuse-ld={linker}")
        output = command([program], timeout=30)
        if "own objects: mimalloc\n" not in output:
            raise failure(output)


def compiles_alone(compiler, header, includes):
    """Twice in one file and nothing before it: complete, guarded, and free of warnings."""
    if shutil.which(compiler) is None:
        raise skip(f"{compiler} is not installed")
    text = f"#include <pirn/{header}>\n#include <pirn/{header}>\nint main() {{}}\n"
    command([compiler, *STRICT, "-fsyntax-only", "-x", "c++", *includes, "-"], text=text)


def visible_includes(path):
    """The include folders that a header's layer may see; all of them for the header of all."""
    layer = layer_of(path)
    seen = LAYERS[layer] | {layer}
    if os.path.basename(path) == UMBRELLA:
        seen = set(LAYERS)
    return [f"-I{folder}" for folder in sorted(glob.glob(os.path.join(ROOT, "*", "include")))
            if layer_of(os.path.relpath(folder, ROOT)) in seen]


def main():
    made = installation(sys.argv[1])
    group = cases()
    group.run("meson install", made.install)
    if not made.found("**/pirn.pc"):
        group.finish()
    group.run("nothing missing, nothing more", made.what_is_installed)
    group.run("promised headers", made.promised_headers)
    group.run("pkg-config keeps the order of libraries", made.order_of_libraries)
    for compiler in COMPILERS:
        group.run(f"outside program, {compiler}", lambda: made.outside_program(compiler))
        group.run(f"outside program, {compiler} -O2",
                  lambda: made.outside_program(compiler, "-O2"))
        for linker in LINKERS:
            group.run(f"malloc's provenance, {compiler}, {linker}",
                      lambda: made.provenance(compiler, linker))
    for path in in_tree_headers():
        name = os.path.basename(path)
        group.run(f"<pirn/{name}> alone, in the tree",
                  lambda: compiles_alone("g++", name, visible_includes(path)))
        for compiler in COMPILERS:
            group.run(f"<pirn/{name}> alone, installed, {compiler}",
                      lambda: compiles_alone(compiler, name, [f"-I{made.prefix}/include"]))
    group.finish()


main()
