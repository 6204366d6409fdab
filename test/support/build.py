#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Configures and builds one folder under build/, and says in a few plain lines what failed.

usage: build.py NAME [-Doption=value ...]

A folder keeps the options that earlier calls asked for, so that the demo and the benchmarks share
one; it is made anew when the compiler, the tree's place or the way it was set up has changed.
"""

import json
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
# The line of a log that says why; the tools' summaries of it come later.
REASON = re.compile(r"error:|ERROR:|undefined reference|cannot find|Killed|No space left")


class build_failed(Exception):
    """The text says which step failed, why, and where its log is."""


class build:
    def __init__(self, name, setup=(), compiler="g++"):
        self.name = name
        self.setup = list(setup)
        self.compiler = compiler
        self.folder = os.path.join(ROOT, "build", name)
        self.log = os.path.join(ROOT, "build", name + ".log")
        self._stamp = os.path.join(self.folder, "configured.json")

    def configure(self, options):
        """`options`: {"examples": "true", …}, added to those that the folder has."""
        os.makedirs(os.path.join(ROOT, "build"), exist_ok=True)
        open(self.log, "w", encoding="utf-8").close()
        made_with = {"root": ROOT, "setup": self.setup, "compiler": self.compiler_version()}
        stamp = self.read_stamp()
        if stamp.get("made_with") != made_with:
            shutil.rmtree(self.folder, ignore_errors=True)
            stamp = {"made_with": made_with, "options": {}}
        wanted = {**stamp["options"], **options}
        changed = [f"-D{key}={value}" for key, value in wanted.items()
                   if stamp["options"].get(key) != value]
        if not os.path.exists(self._stamp):
            self.step("configuring", ["meson", "setup", self.folder, ROOT, *self.setup, *changed])
        elif changed:
            self.step("configuring", ["meson", "configure", self.folder, *changed])
        else:
            # Reads changed meson.build files now, for what is asked of the build before it is made.
            self.step("configuring", ["ninja", "-C", self.folder, "build.ninja"])
        stamp["options"] = wanted
        with open(self._stamp, "w", encoding="utf-8") as file:
            json.dump(stamp, file)

    def compile(self, targets=()):
        jobs = str(len(os.sched_getaffinity(0)))
        self.step("building", ["ninja", "-C", self.folder, "-j", jobs, *targets])

    def introspect(self, what):
        return json.loads(subprocess.run(["meson", "introspect", what, self.folder], check=True,
                                         stdout=subprocess.PIPE).stdout)

    def read_stamp(self):
        try:
            with open(self._stamp, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def compiler_version(self):
        try:
            return subprocess.run([self.compiler, "--version"], text=True, check=True,
                                  stdout=subprocess.PIPE).stdout.split("\n")[0]
        except (OSError, subprocess.CalledProcessError):
            raise build_failed(f"configuring build/{self.name} failed: "
                               f"there is no {self.compiler}") from None

    def step(self, what, argv):
        """Runs one tool into the log."""
        env = dict(os.environ)
        if "--cross-file" not in self.setup:
            env["CXX"] = self.compiler
        with open(self.log, "a", encoding="utf-8") as log:
            try:
                status = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env=env).returncode
            except OSError as missing:
                raise build_failed(f"{what} build/{self.name} failed: {missing}") from None
        if status == 0:
            return
        with open(self.log, encoding="utf-8", errors="replace") as log:
            lines = log.read().rstrip().split("\n")
        reason = next((line for line in lines if REASON.search(line)), f"status {status}")
        place = os.path.relpath(self.log, ROOT)
        last = "\n".join("    " + line[:200] for line in lines[-12:])
        raise build_failed(f"{what} build/{self.name} failed: {reason.strip()[:300]}\n"
                           f"  the end of {place}:\n{last}")


def main():
    name, options = sys.argv[1], dict(arg[2:].split("=", 1) for arg in sys.argv[2:])
    made = build(name)
    try:
        print(f"building build/{name} (log: build/{name}.log)", flush=True)
        made.configure(options)
        made.compile()
    except build_failed as failed:
        sys.exit(f"run: {failed}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
