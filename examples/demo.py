#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The demo: goroutines against threads, driven by a real load generator, in one small table.

usage: demo.py --builddir DIR [--seconds N]

Starts http_server on a free port of 127.0.0.1 and drives it with wrk over 100 connections; does
the same with http_threads, whose connections are threads and whose handler is the same; then parks
100,000 goroutines. Status 0 when every step worked; otherwise 1, and one line on stderr says which
step failed and why.
"""

import argparse
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

CONNECTIONS = 100  # That wrk keeps busy.
IDLE_CONNECTIONS = 1000  # That are held open to weigh one: a hundred would drown in rounding.
PARKED = 100_000
START_SECONDS = 10.0  # What a server may take to start, to answer, or to end.
PARKED_SECONDS = 120.0
REQUEST = b"GET / HTTP/1.1\r\nHost: demo\r\n\r\n"


class StepFailed(Exception):
    """Which step failed and why, in one line."""


def one_line(text):
    """The last line that says something: programs put the reason there."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def built(builddir, path):
    full = os.path.join(builddir, path)
    if not os.access(full, os.X_OK):
        raise StepFailed(f"{path} is not in {builddir}; was it built?")
    return full


class Server:
    """A server of the examples while it runs. Leaving the block ends it, by force if need be."""

    def __init__(self, builddir, name):
        self.name = name
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [built(builddir, f"examples/{name}"), "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )

    def __enter__(self):
        try:
            self.port = self.read_port()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        self.kill()

    def read_port(self):
        ready, _, _ = select.select([self.process.stdout], [], [], START_SECONDS)
        line = self.process.stdout.readline().decode() if ready else ""
        match = re.match(r"listening on 127\.0\.0\.1:(\d+)$", line.strip())
        if not match:
            raise StepFailed(f"{self.name} did not start: {self.reason()}")
        return int(match.group(1))

    def reason(self):
        """What it said on stderr, or how it ended."""
        time.sleep(0.05)  # A process that has just closed its output is about to be gone.
        self.errors.seek(0)
        said = self.errors.read().decode(errors="replace")
        if said.strip():
            return one_line(said)
        status = self.process.poll()
        return "it runs and says nothing" if status is None else f"it ended with status {status}"

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def end(self):
        """Ends it as Ctrl-C does and returns its line of totals."""
        if self.process.poll() is not None:
            raise StepFailed(f"{self.name} ended by itself: {self.reason()}")
        self.process.send_signal(signal.SIGINT)
        try:
            out, _ = self.process.communicate(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            raise StepFailed(
                f"{self.name} still runs {START_SECONDS:.0f} s after Ctrl-C"
            ) from None
        if self.process.returncode != 0:
            raise StepFailed(f"{self.name} did not end cleanly: {self.reason()}")
        return one_line(out.decode())

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def milliseconds(text):
    """wrk's "980.00us", "1.23ms", "4.50s" or "1.02m" in milliseconds."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text)
    if not match:
        raise StepFailed(f"wrk printed {text!r} where a time was expected")
    factors = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
    return float(match.group(1)) * factors[match.group(2)]


def parse_wrk(out, name):
    """Returns (requests, requests per second, p50, p99 in ms). A run with errors is none."""
    count = re.search(r"^\s+(\d+) requests in ", out, re.MULTILINE)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", out, re.MULTILINE)
    p50 = re.search(r"^\s+50%\s+(\S+)", out, re.MULTILINE)
    p99 = re.search(r"^\s+99%\s+(\S+)", out, re.MULTILINE)
    if not (count and rate and p50 and p99):
        raise StepFailed(f"wrk against {name} printed no figures: {one_line(out)}")
    for trouble in ("Socket errors:", "Non-2xx or 3xx responses:"):
        line = re.search(rf"^\s*({trouble}.*)$", out, re.MULTILINE)
        if line:
            raise StepFailed(f"wrk against {name}: {line.group(1)}")
    requests = int(count.group(1))
    if requests == 0:
        raise StepFailed(f"wrk against {name} got no answer")
    return requests, float(rate.group(1)), milliseconds(p50.group(1)), milliseconds(p99.group(1))


def drive(server, seconds):
    """Loads the server with wrk. Returns its figures, and the server's CPU seconds per request."""
    # The generator shares the machine with the server: on a small one it gets one thread.
    threads = 2 if len(os.sched_getaffinity(0)) >= 4 else 1
    command = ["wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    cpu = server.cpu_seconds()
    try:
        done = subprocess.run(
            command + [f"http://127.0.0.1:{server.port}/"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds + START_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepFailed(f"wrk against {server.name} did not end") from None
    if server.process.poll() is not None:
        raise StepFailed(f"{server.name} died under load: {server.reason()}")
    cpu = server.cpu_seconds() - cpu
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise StepFailed(f"wrk against {server.name}: {one_line(said)}")
    requests, rate, p50, p99 = parse_wrk(done.stdout.decode(errors="replace"), server.name)
    return {"rate": rate, "p50": p50, "p99": p99, "cpu": cpu / requests}


def weigh_connection(server, count):
    """Resident bytes of one connection that has been served and idles."""
    before = server.resident_bytes()
    held = []
    try:
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", server.port), START_SECONDS)
            held.append(connection)
            connection.sendall(REQUEST)
            if not connection.recv(4096).startswith(b"HTTP/1.1 200 "):
                raise StepFailed(f"{server.name} refused connection {len(held)} of {count}")
        return (server.resident_bytes() - before) / count
    except OSError as error:
        raise StepFailed(
            f"holding {count} connections of {server.name}: {error.strerror or error}"
        ) from None
    finally:
        for connection in held:
            connection.close()


def measure_server(builddir, name, seconds, idle):
    """Returns the table's figures of one server."""
    with Server(builddir, name) as server:
        # Weighed on the fresh server, because one that has had 100 connections reuses their memory.
        memory = weigh_connection(server, idle)
        figures = drive(server, seconds)
        print(f"  {server.end()}", flush=True)
    return {**figures, "memory": memory}


def park(builddir):
    """Parks goroutines and returns (bytes for each, how many)."""
    command = [built(builddir, "bench/bench_parked_pirn"), "--count", str(PARKED)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PARKED_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepFailed(
            f"parking {PARKED:,} goroutines took over {PARKED_SECONDS:.0f} s"
        ) from None
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace")
        raise StepFailed(f"bench_parked_pirn, status {done.returncode}: {one_line(said)}")
    try:
        figures = json.loads(one_line(done.stdout.decode()))
        return float(figures["value"]), int(figures["count"])
    except (ValueError, KeyError, TypeError):
        raise StepFailed(f"bench_parked_pirn printed no figures: {done.stdout!r}") from None


def bytes_text(count):
    return f"{count / 1024:.1f} KB"


def print_table(goroutines, threads, parked_bytes, parked_count, idle):
    rows = [
        ("", "goroutines", "threads"),
        ("requests per second", f"{goroutines['rate']:,.0f}", f"{threads['rate']:,.0f}"),
        ("latency p50", f"{goroutines['p50']:.2f} ms", f"{threads['p50']:.2f} ms"),
        ("latency p99", f"{goroutines['p99']:.2f} ms", f"{threads['p99']:.2f} ms"),
        (
            "server CPU per request",
            f"{goroutines['cpu'] * 1e6:.1f} us",
            f"{threads['cpu'] * 1e6:.1f} us",
        ),
        (
            f"memory per connection ({idle:,} idle)",
            bytes_text(goroutines["memory"]),
            bytes_text(threads["memory"]),
        ),
        (f"memory per goroutine ({parked_count:,} parked)", bytes_text(parked_bytes), "-"),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    print()
    for row in rows:
        print(f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}".rstrip())
    print("\nMemory is what is resident in the process; a thread's kernel stack comes on top.")
    if parked_count < PARKED:
        print(
            f"Only {parked_count:,} of {PARKED:,} goroutines were parked: each stack's guard is a "
            "mapping, and vm.max_map_count allows no more."
        )


def demo(builddir, seconds):
    if shutil.which("wrk") is None:
        raise StepFailed("wrk, the load generator, is not installed")
    # Both sides of every idle connection count: ours here, the server's there.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE_CONNECTIONS + CONNECTIONS + 200
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit, 256), hard))
    idle = min(IDLE_CONNECTIONS, limit - CONNECTIONS - 50)
    if idle < 50:
        raise StepFailed(f"the limit of {hard} open files leaves no room for connections")
    print(
        f"HTTP server, one goroutine per connection: wrk, {CONNECTIONS} connections, {seconds} s",
        flush=True,
    )
    goroutines = measure_server(builddir, "http_server", seconds, idle)
    print("HTTP server, one thread per connection: the same", flush=True)
    threads = measure_server(builddir, "http_threads", seconds, idle)
    print(f"Parking {PARKED:,} goroutines", flush=True)
    parked_bytes, parked_count = park(builddir)
    print_table(goroutines, threads, parked_bytes, parked_count, idle)


def seconds_argument(text):
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 600):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 600")
    return int(text)


def main():
    parser = argparse.ArgumentParser(prog="demo", description="goroutines against threads")
    parser.add_argument("--builddir", required=True, help="where meson built examples and bench")
    parser.add_argument(
        "--seconds", type=seconds_argument, default=5, help="load on each server, 1 to 600"
    )
    args = parser.parse_args()
    # A signal unwinds like an exception, so that no child outlives the demo.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo(os.path.abspath(args.builddir), args.seconds)
    except StepFailed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
