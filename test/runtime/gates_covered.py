#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks whether each gate of the run time's table has a test: one table, one test per entry.

Arguments: the table (runtime/gates.h), then the sources of the tests. An entry has its test where
some case's name begins with the entry's, as in {"read", ...} or {"fcntl, of a range", ...}, and a
call of that function stands in the same source. Entries for the C++ library's functions have no
name that a source could call: there the case's name is enough. Whether such a call then comes to
the gate is for test/link/gates.cc to say.
"""

import re
import sys

ENTRY = re.compile(r"^ +(GATE\w*|TAKES|TRIES|GIVES)\((\w+)", re.MULTILINE)


def entries(table):
    """The names of the gates, and whether a source can call the function by that name."""
    body = re.sub(r"//[^\n]*", "", table)
    return {name: kind != "GATE_CXX" for kind, name in ENTRY.findall(body)}


def has_test(name, callable_by_name, sources):
    named = re.compile(r'"' + re.escape(name) + r'["(, ]')
    called = re.compile(r"\b" + re.escape(name) + r"\(")
    return any(named.search(text) and (not callable_by_name or called.search(text))
               for text in sources)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    table, *paths = sys.argv[1:]
    sources = [read(path) for path in paths]
    gates = entries(read(table))
    without = [name for name, by_name in gates.items() if not has_test(name, by_name, sources)]
    for name in without:
        print(f"no test for the gate of {name}")
    print(f"{len(gates)} gates, {len(gates) - len(without)} of them with a test")
    # A table that is read wrongly has few entries.
    sys.exit(1 if without or len(gates) < 150 else 0)


main()
