#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Assembly in, assembly out: what the pass makes of small texts, and what it refuses.

usage: split_test.py <folder of the pass>
"""

import sys

sys.dont_write_bytecode = True

import arguments_cases  # noqa: E402
import entry_cases  # noqa: E402
import frame_cases  # noqa: E402
import jump_cases  # noqa: E402
import name_cases  # noqa: E402
from cases import cases  # noqa: E402
from rewriting import pass_program  # noqa: E402


def main():
    program = pass_program(sys.argv[1])
    group = cases()
    for module in (entry_cases, frame_cases, arguments_cases, jump_cases, name_cases):
        for name, case in vars(module).items():
            if name.startswith("case_"):
                title = f"{module.__name__.removesuffix('_cases')}: {name[5:].replace('_', ' ')}"
                group.run(title, lambda case=case: case(program))
    group.finish()


main()
