# SPDX-License-Identifier: MIT
"""The rule of the include direction: who may include whose headers, and under which name."""

import re

BELOW_CHAN = {"runtime", "base"}
# Layer -> the layers whose headers it may include, besides its own.
LAYERS = {
    "base": set(),
    "split": set(),
    "arch": {"base"},
    "stack": {"arch", "base"},
    "runtime": {"stack", "arch", "base"},
    "sync": BELOW_CHAN,
    "chan": BELOW_CHAN,
    "ctx": {"chan", "sync"} | BELOW_CHAN,
    "net": {"ctx"} | BELOW_CHAN,
}
# Private headers of runtime/ that the layers above it may include.
SIBLING = {"park", "waiter", "sema", "timer", "lock", "lockrank", "cancel", "netpoll",
           "owners", "report", "where", "aging"}
# They see the libraries; no library sees them. Tests may look inside, these two may not.
PROGRAMS = {"bench", "examples"}
# The header of all headers, which therefore belongs to no layer.
UMBRELLA = "pirn.h"
# (file, included): what the rules below would refuse, each with its reason.
ALLOWED = {
    # A model-checking build replaces the atomics as a whole, by a header that only tests have.
    ("runtime/base/atomic.h", "test/model/atomic.h"),
}
# Where the path has chosen the CPU: its folder is on the include path, so its headers have no
# name from the root. Tests and benchmarks have such folders too.
CPU_FOLDERS = re.compile(r"^(?:arch|test|bench)/(?:.*/)?(?:x86_64|aarch64)/")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
PUBLIC = re.compile(r"(?:^|/)include/pirn/([^/]+)$")


def layer_of(path):
    if path.startswith("runtime/base/"):
        return "base"
    return path.split("/")[0]


def include_direction(tree):
    """private headers from the root, public ones as <pirn/x.h>, and only from lower layers"""
    public = {}
    for path in tree.files:
        found = PUBLIC.search(path)
        if found and not path.startswith(("test/", "bench/", "examples/")):
            public[found.group(1)] = path
    for file in tree.cpp():
        for found in INCLUDE.finditer(file.code):
            problem = judge(tree, public, file, found.group(1), found.group(2))
            if problem:
                yield file.path, file.line_of(found.start()), problem


def judge(tree, public, file, bracket, name):
    """Why this include is wrong, or None."""
    if (file.path, name) in ALLOWED:
        return None
    if bracket == "<":
        if name.startswith("pirn/"):
            return judge_public(public, file, name[len("pirn/"):])
        if name in tree.files:
            return f'<{name}> is a file of this tree: write "{name}"'
        return None
    if name in tree.files and "/" in name:
        return judge_private(file, name)
    return judge_beside(tree, file, name)


def judge_public(public, file, name):
    if name not in public:
        return f"<pirn/{name}>: no such public header"
    mine, theirs = layer_of(file.path), layer_of(public[name])
    if mine not in LAYERS or mine == theirs or file.path == public.get(UMBRELLA):
        return None
    if name == UMBRELLA:
        return f"<pirn/{name}> is for users; a library includes what it needs"
    if theirs not in LAYERS[mine]:
        return f"{mine} may not use {theirs} (<pirn/{name}>)"
    return None


def judge_private(file, name):
    """An include of another file of the tree, named from the root."""
    mine, theirs = layer_of(file.path), layer_of(name)
    stem = name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    if "/include/pirn/" in name:
        return f'"{name}" is public: write <pirn/{name.rsplit("/", 1)[-1]}>'
    if "/include/pirn/" in file.path:
        return f'a public header may not include "{name}", which is not installed'
    if mine == "test" or (mine == theirs and mine != "arch"):
        return None
    if mine in PROGRAMS:
        if file.path.startswith("bench/switch/") and name == "arch/arch.h":
            return None
        return f'{mine} uses public headers only ("{name}")'
    if theirs == "arch" and name != "arch/arch.h":
        return f'only arch/arch.h includes the CPU\'s headers ("{name}")'
    if mine not in LAYERS:
        return f"{mine}/ is in no layer"
    if mine != theirs and theirs not in LAYERS[mine]:
        return f'{mine} may not use {theirs} ("{name}")'
    if theirs == "runtime" and mine != "runtime" and stem not in SIBLING:
        return f'"{name}" is runtime\'s own; siblings have {", ".join(sorted(SIBLING))}'
    return None


def judge_beside(tree, file, name):
    """An include whose name is not a path from the root."""
    folder = file.path.rsplit("/", 1)[0]
    mine = layer_of(file.path)
    near = []
    if mine in PROGRAMS:
        # Programs are leaves: theirs is the folder they stand in, and the harness of the benches.
        near += [f"{folder}/{name}", f"{mine}/{name}"]
    if mine in PROGRAMS | {"test"} or file.path == "arch/arch.h" or CPU_FOLDERS.match(file.path):
        near += [f for f in tree.files if CPU_FOLDERS.match(f) and f.startswith(mine + "/")
                 and f.endswith("/" + name)]
    if any(f in tree.files for f in near):
        return None
    return f'"{name}": no such file from the root (a private header is "folder/file.h")'
