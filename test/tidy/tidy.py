#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the enforced conventions over the whole tree: each rule is one case, and so is the proof
that the rule objects to what it must object to (plants.py)."""

import os
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "..", "support"))

from cases import cases, failure  # noqa: E402
from plants import CLEAN, PLANTS  # noqa: E402
from rules import RULES  # noqa: E402
from tree import tree  # noqa: E402


def describe(violations):
    return "\n".join(f"{path}:{line}: {what}" for path, line, what in violations)


def check(rule, over):
    violations = list(rule(over))
    if violations:
        raise failure(f"{rule.__doc__.splitlines()[0]}\n{describe(violations)}")


def laid_out(files):
    """The tree of a temporary folder that holds `files`; read whole before the folder goes."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            place = os.path.join(folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as file:
                file.write(text)
        return tree(folder)


def check_plants(rule):
    """The rule accepts the clean tree and objects to the first file of each plant, to no other."""
    violations = list(rule(laid_out(CLEAN)))
    if violations:
        raise failure(f"objects to the clean tree:\n{describe(violations)}")
    for number, plant in enumerate(PLANTS[rule.__name__], 1):
        planted = next(iter(plant))
        paths = {path for path, _, _ in rule(laid_out({**CLEAN, **plant}))}
        if paths != {planted}:
            raise failure(f"plant {number}, expected an objection to {planted}, got "
                          f"{sorted(paths) or 'none'}:\n{plant[planted]}")


def main():
    root = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "..", ".."))
    here = tree(root)
    group = cases()
    for rule in RULES:
        name = rule.__name__.replace("_", " ")
        group.run(name, lambda: check(rule, here))
        group.run(f"{name}: planted violations are found", lambda: check_plants(rule))
    group.finish()


main()
