#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Installs the library as a user does and builds programs outside the tree with what was installed.

usage: install_test.py BUILDDIR. The folder is made and configured here, with the defaults that a
user gets, and its prefix lies in it.
"""

import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

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
    "chan": ["chan.h", "select.h"],
    "sync": ["sync.h"],
    "ctx": ["context.h"],
    "net": ["net.h", "pirn.h"],
}
# The compilers, and the module of each for stacks that grow.
COMPILERS = {"g++": "pirn", "clang++-19": "pirn-clang"}
MODULES = ["pirn", "pirn-clang", "pirn-plain"]
LINKERS = ["bfd", "gold", "lld"]
STRICT = ["-std=c++23", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-pthread"]


def in_tree_headers():
    paths = glob.glob(os.path.join(ROOT, "*", "include", "pirn", "*.h"))
    return sorted(os.path.relpath(path, ROOT) for path in paths)


class installation:
    def __init__(self, build, *options):
        """`options` are for Meson. They say mimalloc or not: found or not found by chance, the
        tests would mean something else."""
        self.build = os.path.abspath(build)
        self.options = options
        self.prefix = os.path.join(self.build, "prefix")
        self.programs = os.path.join(self.build, "outside")

    def install(self):
        shutil.rmtree(self.build, ignore_errors=True)
        command(["meson", "setup", self.build, ROOT, f"--prefix={self.prefix}", *self.options])
        command(["ninja", "-C", self.build, "-j", str(len(os.sched_getaffinity(0)))], timeout=600)
        command(["meson", "install", "-C", self.build, "--no-rebuild", "--quiet"])
        os.makedirs(self.programs, exist_ok=True)

    def found(self, pattern):
        return sorted(os.path.basename(path) for path in
                      glob.glob(os.path.join(self.prefix, pattern), recursive=True)
                      if not os.path.isdir(path))

    def what_is_installed(self):
        headers = [os.path.basename(path) for path in in_tree_headers()]
        layers = [name for name in LAYERS if name not in ("base", "split")
                  and os.path.exists(os.path.join(ROOT, name, "meson.build"))]
        places = {
            "include/pirn/*": headers,
            "lib/**/*.a": [f"libpirn-{name}.a" for name in layers + ["base"]],
            "libexec/pirn/*": ["as", "x86_64-linux-gnu-as", "aarch64-linux-gnu-as"],
            "lib/**/pkgconfig/*": [f"{name}.pc" for name in MODULES],
            "lib/**/cmake/pirn/*": ["pirnConfig.cmake", "pirnConfigVersion.cmake"],
        }
        for pattern, expected in places.items():
            if self.found(pattern) != sorted(expected):
                raise failure(f"{pattern}: {self.found(pattern)}, expected {sorted(expected)}")
        if self.found("**") != sorted(sum(places.values(), [])):
            raise failure(f"more was installed than asked for: {self.found('**')}")

    def promised_headers(self):
        for layer, names in PROMISED.items():
            if not os.path.exists(os.path.join(ROOT, layer, "meson.build")):
                continue
            for name in names:
                if name not in self.found("include/pirn/*.h"):
                    raise failure(f"<pirn/{name}> is not installed")

    def flags(self, module, *arguments):
        folder = os.path.dirname(glob.glob(os.path.join(self.prefix, "**", "pirn.pc"),
                                           recursive=True)[0])
        text = command(["pkg-config", *arguments, module],
                       env={**os.environ, "PKG_CONFIG_PATH": folder})
        return shlex.split(text)

    def order_of_libraries(self):
        """Archives, then the C++ and C libraries, then mimalloc, which exports malloc as well."""
        for module in MODULES:
            libraries = [f for f in self.flags(module, "--libs") if f.startswith("-l")]
            ours = [f for f in libraries if f.startswith("-lpirn-")]
            if libraries != ours + ["-l:libstdc++.so.6", "-l:libc.so.6", "-lmimalloc"] or not ours:
                raise failure(f"pkg-config --libs {module}: {libraries}")

    def program_path(self, *parts):
        return os.path.join(self.programs, re.sub(r"[^\w.+-]+", "_", "_".join(parts)))

    def build_outside(self, compiler, text, *more, module=None, query=()):
        """Compiles as the README says, in a folder outside the tree; returns the program. `query`
        are further arguments for pkg-config."""
        must_be_there(compiler)
        module = module or COMPILERS[compiler]
        program = self.program_path(compiler, module, os.path.basename(text)[:-3], *more)
        command([compiler, "-std=c++23", text, *more,
                 *self.flags(module, *query, "--cflags", "--libs"), "-o", program],
                cwd=self.programs)
        return program

    def outside_program(self, compiler, *more):
        program = self.build_outside(compiler, os.path.join(HERE, "outside.cc"), *more)
        output = command([program], timeout=30)
        if output != "sum 500500\n":
            raise failure(f"printed {output!r}")

    def grows(self, compiler, *more, module=None, query=()):
        """Its goroutine is on the stack that the module promises."""
        program = self.build_outside(compiler, source("growing.cc"), *more, module=module,
                                     query=query)
        expect_growing(program, module != "pirn-plain")
        return program

    def static_program(self, compiler, module=None):
        program = self.grows(compiler, "-O2", "-static", module=module)
        if "INTERP" in command(["readelf", "-l", "-W", program]):
            raise failure(f"{program} is not static")

    def object(self, compiler, module, *more):
        """growing.cc as one object of a program of several."""
        must_be_there(compiler)
        path = self.program_path(compiler, module, *more) + ".o"
        command([compiler, "-std=c++23", "-O2", *self.flags(module, "--cflags"), *more, "-c",
                 source("growing.cc"), "-o", path], cwd=self.programs)
        return path

    def mixed(self, turn):
        """Objects of the three ways in one program; `turn` puts them in their order."""
        objects = [self.object("g++", "pirn", "-DWAY=gcc"),
                   self.object("clang++-19", "pirn-clang", "-DWAY=clang"),
                   self.object("g++", "pirn-plain", "-DWAY=plain")]
        program = self.program_path("mixed", "forward" if turn > 0 else "backward")
        command(["g++", "-std=c++23", *self.flags("pirn", "--cflags"), *objects[::turn],
                 source("mixed_main.cc"), *self.flags("pirn", "--libs"), "-o", program],
                cwd=self.programs)
        output = command([program], timeout=30)
        if output != "gcc: grew, 5\nclang: grew, 5\nplain: did not grow, 5\n":
            raise failure(f"printed {output!r}")

    def refused(self, compiler, module, without, *more, linked=False):
        """What is built without one of the module's flags stops at the directive that only the
        pass knows: when it is compiled, or, `linked`, when it is optimized at link time."""
        must_be_there(compiler)
        flags = self.flags(module, "--cflags")
        missing = [flag for flag in flags if not flag.startswith(without)]
        if missing == flags:
            raise failure(f"{module} has no {without}: {flags}")
        program = self.program_path("refused", compiler, module, *more)
        argv = [compiler, "-std=c++23", source("growing.cc"), *more]
        if linked:
            command([*argv, *flags, "-c", "-o", program + ".o"], cwd=self.programs)
            argv = [compiler, *more, program + ".o"]
        libraries = [flag for flag in self.flags(module, "--libs") if not flag.startswith(without)]
        expect_refusal([*argv, *missing, *libraries, "-o", program], self.programs)

    def relocated(self, compiler, *query):
        """The prefix under another name, the old one gone; pkg-config is told by `query`, where {}
        is the new one."""
        moved = os.path.join(self.build, "moved")
        os.rename(self.prefix, moved)
        self.prefix, before = moved, self.prefix
        try:
            self.grows(compiler, "-O1", query=[text.format(moved) for text in query])
        finally:
            os.rename(moved, before)
            self.prefix = before

    def provenance(self, compiler, linker):
        if linker == "lld":
            must_be_there("ld.lld")
        text = os.path.join(ROOT, "test", "link", "where.cc")
        program = self.build_outside(compiler, text, f"-fuse-ld={linker}")
        output = command([program], timeout=30)
        if "own objects: mimalloc\n" not in output:
            raise failure(output)


    def cmake_project(self, compiler, *more, growing=True, moved=False):
        """A project that says find_package(pirn), configured and built by CMake."""
        must_be_there("cmake", compiler)
        folder = self.program_path("cmake", compiler, *more, "moved" if moved else "")
        prefix = self.prefix
        if moved:
            prefix = os.path.join(self.build, "moved")
            os.rename(self.prefix, prefix)
        try:
            command(["cmake", "-G", "Ninja", "-S", source("cmake"), "-B", folder,
                     f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_PREFIX_PATH={prefix}", *more])
            command(["cmake", "--build", folder])
        finally:
            if moved:
                os.rename(prefix, self.prefix)
        expect_growing(os.path.join(folder, "growing"), growing)
        expect_growing(os.path.join(folder, "plain"), False)

    def cmake_version(self):
        """What asks for another interface is refused, by its version."""
        must_be_there("cmake")
        folder = self.program_path("cmake", "version")
        os.makedirs(folder, exist_ok=True)
        for asked, accepted in {"": True, "0.1": True, "0.1.0": True, "0.2": False, "0.0": False,
                                "1": False}.items():
            with open(os.path.join(folder, "CMakeLists.txt"), "w", encoding="utf-8") as file:
                file.write("cmake_minimum_required(VERSION 3.20)\nproject(asks CXX)\n"
                           f"find_package(pirn {asked} QUIET)\n"
                           'message(STATUS "found: ${pirn_FOUND}")\n')
            said = command(["cmake", "-S", folder, "-B", os.path.join(folder, "build"),
                            "-Upirn_DIR", f"-DCMAKE_PREFIX_PATH={self.prefix}"])
            if ("found: 1" in said) != accepted:
                raise failure(f"find_package(pirn {asked}):\n{said}")


def source(name):
    return os.path.join(HERE, name)


def must_be_there(*tools):
    for tool in tools:
        if shutil.which(tool) is None:
            raise skip(f"{tool} is not installed")


def linker_for(compiler):
    """The flag for a linker that takes what this compiler optimizes at link time: one that is made
    for an older compiler does not."""
    must_be_there(compiler)
    for linker in LINKERS:
        flag = f"-fuse-ld={linker}"
        if subprocess.run([compiler, "-flto", flag, "-x", "c++", "-", "-o", "/dev/null"], text=True,
                          input="int main() {}", stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=60).returncode == 0:
            return flag
    raise skip(f"no linker takes {compiler} -flto")


def expect_growing(program, growing):
    output = command([program], timeout=30)
    if output != f"goroutine: {'grew' if growing else 'did not grow'}, 5\n":
        raise failure(f"{program} printed {output!r}")


def expect_refusal(argv, folder):
    done = subprocess.run(argv, cwd=folder, text=True, errors="replace", timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    if done.returncode == 0:
        raise failure(f"{' '.join(argv)}\nwas accepted")
    if not re.search(r"unknown (pseudo-op|directive).*\.pirn_split", done.stdout, re.DOTALL):
        raise failure(f"{' '.join(argv)}\ndoes not name .pirn_split:\n{done.stdout}")


def compiles_alone(compiler, header, includes):
    """Twice in one file and nothing before it: complete, guarded, and free of warnings."""
    must_be_there(compiler)
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


def test_ways(group, made):
    """The three ways to build: what each promises, and what is refused."""
    for compiler, module in COMPILERS.items():
        for level in ("-O0", "-O2"):
            group.run(f"{module}, {compiler} {level}: grows", lambda: made.grows(compiler, level))
        group.run(f"pirn-plain, {compiler}: large stacks",
                  lambda: made.grows(compiler, "-O2", module="pirn-plain"))
    group.run("pirn, g++ -flto: grows", lambda: made.grows("g++", "-O2", "-flto"))
    group.run("pirn-plain, clang++-19 -flto: large stacks", lambda: made.grows(
        "clang++-19", "-O2", "-flto", linker_for("clang++-19"), module="pirn-plain"))
    group.run("objects of all three ways in one program", lambda: made.mixed(1))
    group.run("the same, in the other order", lambda: made.mixed(-1))
    group.run("clang's own assembler is refused",
              lambda: made.refused("clang++-19", "pirn-clang", "-fno-integrated-as"))
    group.run("g++ without -B is refused", lambda: made.refused("g++", "pirn", "-B"))
    group.run("clang without -B is refused", lambda: made.refused("clang++-19", "pirn-clang", "-B"))
    group.run("g++ -flto, linked without -B, is refused",
              lambda: made.refused("g++", "pirn", "-B", "-flto", linked=True))
    group.run("clang -flto is refused", lambda: made.refused(
        "clang++-19", "pirn-clang", "-fno-integrated-as", "-flto", linker_for("clang++-19")))


def test_moved(group, made):
    group.run("a moved prefix, pkg-config --define-variable=prefix",
              lambda: made.relocated("g++", "--define-variable=prefix={}"))
    group.run("a moved prefix, CMake", lambda: made.cmake_project("g++", moved=True))


def test_cmake(group, made):
    optimized = "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON"
    group.run("CMake, g++", lambda: made.cmake_project("g++"))
    group.run("CMake, g++, release", lambda: made.cmake_project(
        "g++", "-DCMAKE_BUILD_TYPE=Release", optimized))
    group.run("CMake, clang++-19", lambda: made.cmake_project("clang++-19"))
    for option in (optimized, optimized.replace("=", "_RELEASE=")):
        group.run(f"CMake, clang++-19 {option}", lambda: made.cmake_project(
            "clang++-19", "-DCMAKE_BUILD_TYPE=Release", option,
            f"-DCMAKE_EXE_LINKER_FLAGS={linker_for('clang++-19')}", growing=False))
    group.run("CMake's versions", made.cmake_version)


def test_without_mimalloc(group, build):
    """What the distribution's mimalloc, a shared library, stands in the way of; and the folders as
    pkg-config's own rule for a moved prefix wants them."""
    made = installation(build, "-Dmimalloc=disabled", "--libdir=lib", "-Doptimization=0")
    group.run("meson install, without mimalloc", made.install)
    if not made.found("**/pirn.pc"):
        return
    group.run("pirn, g++ -static: grows", lambda: made.static_program("g++"))
    group.run("pirn-clang, clang++-19 -static: grows", lambda: made.static_program("clang++-19"))
    group.run("pirn-plain, g++ -static: large stacks",
              lambda: made.static_program("g++", module="pirn-plain"))
    group.run("a moved prefix, pkg-config --define-prefix",
              lambda: made.relocated("g++", "--define-prefix"))
    group.run("CMake, without mimalloc", lambda: made.cmake_project("g++", moved=True))


def test_headers(group, made):
    """Some seconds each way, and many: as many at a time as there are CPUs."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = []
        for path in in_tree_headers():
            name = os.path.basename(path)
            ways = [("in the tree", "g++", visible_includes(path))]
            ways += [(f"installed, {compiler}", compiler, [f"-I{made.prefix}/include"])
                     for compiler in COMPILERS]
            results += [(f"<pirn/{name}> alone, {way}",
                         pool.submit(compiles_alone, compiler, name, includes))
                        for way, compiler, includes in ways]
        for name, result in results:
            group.run(name, result.result)


def main():
    made = installation(sys.argv[1], "-Dmimalloc=enabled")
    group = cases()
    group.run("meson install", made.install)
    if not made.found("**/pirn.pc"):
        group.finish()
    group.run("nothing missing, nothing more", made.what_is_installed)
    group.run("promised headers", made.promised_headers)
    group.run("pkg-config keeps the order of libraries", made.order_of_libraries)
    for compiler in COMPILERS:
        group.run(f"outside program, {compiler}", lambda: made.outside_program(compiler))
        for linker in LINKERS:
            group.run(f"malloc's provenance, {compiler}, {linker}",
                      lambda: made.provenance(compiler, linker))
    test_ways(group, made)
    test_cmake(group, made)
    test_moved(group, made)
    test_without_mimalloc(group, os.path.join(made.build, "without-mimalloc"))
    test_headers(group, made)
    group.finish()


main()
