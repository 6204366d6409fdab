# SPDX-License-Identifier: MIT
"""The source tree as the rules see it: every file that people write, with its code split from
its comments."""

import os
import re

CPP = (".h", ".cc", ".cpp", ".c", ".S")
# Builds and caches; a folder that starts with a dot is skipped too, apart from .ci.
SKIPPED = re.compile(r"^(build|build-.*|__pycache__)$")
# One token of C++ that hides the meaning of what is inside it.
HIDDEN = re.compile(
    r'//[^\n]*|/\*.*?\*/'
    r'|R"(?P<delim>[^()\s\\]{0,16})\(.*?\)(?P=delim)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'",
    re.DOTALL)


def blank(match, keep_strings):
    """Spaces for a comment (or a string), its line ends kept, so that line numbers stay."""
    text = match.group(0)
    if keep_strings and not text.startswith(("//", "/*")):
        return text
    return re.sub(r"[^\n]", " ", text)


class source:
    """One file: `path` from the root with forward slashes, `text`, `lines`, and for C, C++ and
    assembly `code` (comments blanked) and `bare` (strings blanked too)."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        self.code = self.bare = text
        if path.endswith(CPP):
            self.code = HIDDEN.sub(lambda m: blank(m, True), text)
            self.bare = HIDDEN.sub(lambda m: blank(m, False), text)

    @property
    def top(self):
        return self.path.split("/")[0]

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1


class tree:
    def __init__(self, root):
        self.root = root
        self.files = {}
        for folder, folders, names in os.walk(root):
            inside = os.path.relpath(folder, root).replace(os.sep, "/")
            folders[:] = sorted(f for f in folders if not SKIPPED.match(f)
                                and (not f.startswith(".") or f == ".ci"))
            for name in sorted(names):
                path = name if inside == "." else f"{inside}/{name}"
                with open(os.path.join(folder, name), "rb") as file:
                    raw = file.read()
                if b"\0" not in raw:
                    self.files[path] = source(path, raw.decode("utf-8", "replace"))

    def cpp(self, *suffixes):
        return [f for f in self.files.values() if f.path.endswith(suffixes or CPP)]
