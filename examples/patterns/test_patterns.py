#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs each pattern's program, on 1, 2 and 4 Ps, and compares what it prints."""

import os
import subprocess
import sys

CUBES_AND_SQUARES = 338350 + 5050 * 5050
PRINTED = {
    "alternate": "12AB34CD56EF78GH910IJ1112KL\n",
    "bounded": "10000 ended, 0 too many at once\n",
    "fan_in": f"sum {CUBES_AND_SQUARES}\nnothing came within 10 ms\n",
    "fan_out": "sum 500500\n",
    "future": "42\n",
    "future_of_two": "value 42\nerror stoi\n",
    "generator": "0 1 1 2 3 5 8 13 21 34 \n",
    "nil_case": "0 1 2 3 4 5 6 7 8 9 \n",
    "ping_pong": "ping 0\npong 1\nping 2\npong 3\nping 4\npong 5\n",
    "pipeline": "1 4 9 16 25 and all stages have ended\n",
    "prime_sieve": "2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 \n",
    "producer_consumer": "made 300, used 300\n",
    "rate_limiter": "".join(f"request {n}\n" for n in range(5)) + "not before their time\n",
    "result_channels": "pirn\nlevel\n",
    "semaphore": "100 went through, 0 too many at once\n",
    "timeout": "answer 42\ntoo late\n",
    "worker_pool": "1 4 9 16 25 36 49 64 81 \n",
}


def run(path, procs):
    """What went wrong, or nothing."""
    env = {**os.environ, "PIRN_MAXPROCS": str(procs)}
    wrapper = os.environ.get("MESON_EXE_WRAPPER", "").split()
    try:
        done = subprocess.run([*wrapper, path], env=env, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode != 0 or done.stderr:
        return f"status {done.returncode}: {done.stderr.strip()}"
    expected = PRINTED[os.path.basename(path).removeprefix("pattern_")]
    return "" if done.stdout == expected else f"printed {done.stdout!r}"


def main():
    folder = sys.argv[1]
    passed = failed = 0
    for name in PRINTED:
        for procs in (1, 2, 4):
            wrong = run(os.path.join(folder, f"pattern_{name}"), procs)
            if wrong:
                print(f"FAIL {name} on {procs} Ps: {wrong}", flush=True)
                failed += 1
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
