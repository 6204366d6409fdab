# SPDX-License-Identifier: MIT
"""Runs the pass on small texts, for the cases of split_test.py."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from cases import failure  # noqa: E402

X86, ARM = "x86_64", "aarch64"
MARKER = {X86: 0x504952A5, ARM: 0x01504952}


class rewritten:
    """What the pass made of a text: its words, and the frames it found."""

    def __init__(self, text, frames):
        self.text = text
        self.frames = frames
        self.lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]

    def has(self, *lines):
        """Fails if these lines do not stand in the text, one after the other."""
        wanted = [" ".join(line.split()) for line in lines]
        for i in range(len(self.lines) - len(wanted) + 1):
            if self.lines[i:i + len(wanted)] == wanted:
                return self
        raise failure("not found:\n  " + "\n  ".join(wanted) + "\nin\n" + self.text)

    def lacks(self, *parts):
        for part in parts:
            if part in self.text:
                raise failure(f"must not be there: {part}\nin\n{self.text}")
        return self

    def count(self, part, n):
        if self.text.count(part) != n:
            raise failure(f"{part}: {self.text.count(part)} times, not {n}\nin\n{self.text}")
        return self

    def frame(self, name, frame=None, need=None, arguments=None, dynamic=None):
        """Compares what was found for a function; None is not compared."""
        if name not in self.frames:
            raise failure(f"no frame for {name}: {self.frames}\n{self.text}")
        for what, want, got in zip(("frame", "need", "arguments", "dynamic"),
                                   (frame, need, arguments, dynamic), self.frames[name]):
            if want is not None and want != got:
                raise failure(f"{name}: {what} is {got}, not {want}\nin\n{self.text}")
        return self


class pass_program:
    def __init__(self, folder):
        self.folder = os.path.abspath(folder)

    def run(self, cpu, text, *options):
        """The ended process, the rewritten text (or None) and the lines about frames."""
        with tempfile.TemporaryDirectory() as folder:
            frames = os.path.join(folder, "frames")
            source = os.path.join(folder, "t.s")
            with open(source, "w", encoding="utf-8") as file:
                file.write(text)
            env = dict(os.environ, PIRN_SPLIT_KEEP=folder, PIRN_SPLIT_FRAMES=frames)
            if not shutil.which(f"{cpu}-linux-gnu-as"):
                env["PIRN_AS"] = shutil.which("true")
            argv = [os.path.join(self.folder, f"{cpu}-linux-gnu-as"), source, *options, "-o",
                    os.path.join(folder, "t.o")]
            done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
            made = os.path.join(folder, "t.o.s")
            out = open(made, encoding="utf-8").read() if os.path.exists(made) else None
            lines = open(frames, encoding="utf-8").read() if os.path.exists(frames) else ""
            return done, out, lines

    def rewrite(self, cpu, text, *options):
        """The text as rewritten, which the real assembler took without a word if there is one."""
        done, out, lines = self.run(cpu, generated(text), *options)
        if done.returncode != 0 or done.stderr or out is None:
            raise failure(f"status {done.returncode}\n{done.stderr}\nfor\n{text}\nmade into\n{out}")
        frames = {}
        for line in lines.splitlines():
            name, *numbers = line.rsplit(" ", 4)
            frames[name] = [int(n) for n in numbers[:3]] + [numbers[3] == "1"]
        return rewritten(out, frames)

    def refuse(self, cpu, text, *parts):
        """Fails unless the pass ends with a message that has all the parts."""
        done, _, _ = self.run(cpu, generated(text))
        if done.returncode != 1 or not all(part in done.stderr for part in parts):
            raise failure(f"status {done.returncode}, not 1 with {parts}:\n{done.stderr}")


def generated(text):
    """The text as a compiler would end it."""
    return text + '\n\t.ident\t"GCC: (made for a test) 12.2.0"\n'


def function(name, body, binding="globl", section=".text", cfi=True, align=""):
    """A function as compilers frame it. `body` is text, a line for each statement."""
    quoted = name if re.fullmatch(r"[\w.$]+", name) else f'"{name}"'
    lines = [f"\t.section {section}" if section != ".text" else "\t.text", align]
    if binding:
        lines.append(f"\t.{binding} {quoted}")
    lines += [f"\t.type {quoted}, %function", f"{quoted}:"]
    if cfi:
        lines.append("\t.cfi_startproc")
    lines += ["\t" + line.strip() if not re.match(r"\s*[.\w]+:", line) else line.strip()
              for line in body.strip().splitlines()]
    if cfi:
        lines.append("\t.cfi_endproc")
    lines.append(f"\t.size {quoted}, .-{quoted}")
    return "\n".join(line for line in lines if line) + "\n"
