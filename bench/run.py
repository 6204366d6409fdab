#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the contenders of the benchmark's workloads in turn and compares them.

The C++ contenders are built by meson (option `bench`), the Go ones here. Each run starts every
contender of a workload once, one after the other, so that a slow stretch of the machine falls on
all of them; only then the next run begins. README.md says what each workload measures.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

BENCH = pathlib.Path(__file__).resolve().parent
TIMEOUT_S = 180
SERVER_START_S = 10


@dataclass(frozen=True)
class Figure:
    """One number of a result line, and what is good about it."""

    key: str
    meaning: str
    higher_is_better: bool = False

    def best(self, values):
        return max(values) if self.higher_is_better else min(values)


@dataclass(frozen=True)
class Workload:
    contenders: tuple
    figures: tuple
    # By its definition on one P, whatever --procs says.
    one_p: bool = False
    # The contender "limit" is one thread: no limit of what several can do.
    limit_is_one_thread: bool = True


WORKLOADS = {
    "switch": Workload(
        ("limit", "pirn"), (Figure("value", "ns for one switch, one way"),), one_p=True),
    "yield": Workload(
        ("limit", "pirn", "go", "pthread"),
        (Figure("value", "ns for one yield"),
         Figure("two_places_ns", "ns for one yield, from two places in the code")),
        one_p=True),
    "spawn": Workload(
        ("limit", "pirn", "go", "pthread"),
        (Figure("value", "ns to spawn and join one goroutine"),)),
    "chan_pingpong": Workload(
        ("limit", "pirn", "go", "pthread"), (Figure("value", "ns for one round trip"),)),
    "chan_stream": Workload(
        ("pirn", "go"),
        (Figure("value", "ns for one value, one producer and one consumer"),
         Figure("crowd_ns", "ns for one value, four of each"))),
    "select": Workload(
        ("pirn", "go"),
        (Figure("value", "ns to take from one of two channels that are fed"),
         Figure("none_ns", "ns to find that none of two is ready"),
         Figure("try_recv_ns", "ns to find one channel empty"))),
    "context": Workload(
        ("pirn", "go"),
        (Figure("value", "ns to make and cancel one below background"),
         Figure("below_ns", "ns to make and cancel one below a live parent"),
         Figure("child_build_ns", "ns to make one of many children"),
         Figure("child_cancel_ns", "ns to cancel it with its parent"),
         Figure("value_ns", "ns to find a value ten levels above"))),
    "locks": Workload(
        ("pirn", "go", "pthread"),
        (Figure("value", "ns to lock and unlock a mutex that nobody else wants"),
         Figure("crowd_ns", "ns to lock and unlock a mutex that eight share"),
         Figure("read_ns", "ns to read-lock and unlock, one reader"),
         Figure("readers_ns", "ns to read-lock and unlock, eight readers"))),
    "sync": Workload(
        ("pirn", "go"),
        (Figure("value", "ns for add, done and wait of a wait group"),
         Figure("once_ns", "ns for a call of a once that is done"),
         Figure("pool_ns", "ns to get from a pool and put back, one goroutine on each P"))),
    "cond_pingpong": Workload(
        ("pirn", "go", "pthread"), (Figure("value", "ns for one round trip"),)),
    "worker_pool": Workload(
        ("pirn", "go"), (Figure("value", "ns for one task"),)),
    "parked": Workload(
        ("pirn", "go", "pthread"),
        (Figure("value", "resident bytes of one parked goroutine"),
         Figure("spawn_ns", "ns to spawn and park one"),
         Figure("release_ns", "ns to release one"),
         Figure("after_chain_bytes", "resident bytes, after a chain of calls"),
         Figure("left_mb", "resident MB a second after the end of all"))),
    "grow": Workload(
        ("limit", "pirn"),
        (Figure("value", "ns for a call of a 6 KB frame"),
         Figure("fib_ns", "ns for one call of fib(35)"),
         Figure("memcpy_ns", "ns for memcpy of 32 bytes"),
         Figure("malloc_ns", "ns for malloc and free")),
        one_p=True),
    "skynet": Workload(
        ("limit", "pirn", "go"),
        (Figure("value", "seconds for the tree"),
         Figure("peak_rss_mb", "peak resident set, MB"))),
    "echo": Workload(
        ("limit", "pirn", "go", "pthread"),
        (Figure("value", "round trips per CPU second of the server", higher_is_better=True),
         Figure("per_second", "round trips per second", higher_is_better=True),
         Figure("p50_us", "median latency, us"),
         Figure("p99_us", "99th percentile of latency, us")),
        limit_is_one_thread=False),
}


class Failed(Exception):
    """A contender could not be built or run; the text is the reason in one line."""


def last_line(text):
    """What a program said last; where a dump of goroutines follows the reason, the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if line.startswith(("fatal error: ", "panic: "))]
    return (reasons or lines[-1:] or [""])[0]


def ending(status):
    if status >= 0:
        return f"status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


# ---- the machine and what was built


def cpu_model():
    """The processor's name; where the kernel gives none (many ARM boards), its architecture."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    match = re.search(r"^model name\s*:\s*(.*)$", info, re.M)
    return match.group(1) if match else platform.machine()


def output_of(command):
    """The output of a command, or None where it does not exist or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def commit():
    """The commit of the tree the benchmark lies in, with "-dirty" where files differ from it."""
    git = ["git", "-C", str(BENCH)]
    head = output_of(git + ["rev-parse", "HEAD"])
    if head is None:
        return None
    return head + ("-dirty" if output_of(git + ["status", "--porcelain"]) else "")


def machine():
    return {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "usable_cpus": sorted(os.sched_getaffinity(0)),
        "kernel": f"{platform.system()} {platform.release()}",
        "load_average": os.getloadavg()[0],
    }


# ---- Go


def constants(path, pattern):
    """The integer constants of a configuration file, by their names without prefix and case."""
    text = path.read_text()
    return {name.replace("_", "").lower(): int(re.sub(r"['_]", "", value))
            for name, value in re.findall(pattern, text)}


def check_mirror(folder):
    """Each constant of config.go must have its like in config.h, or the contenders differ."""
    theirs = constants(folder / "config.h", r"\bk_(\w+) = (\d[\d']*);")
    for name, value in constants(folder / "config.go", r"\bk(\w+) *= (\d[\d_]*)").items():
        if theirs.get(name) != value:
            raise Failed(f"config.go says {value} for {name}, config.h {theirs.get(name)}")


def build_go(workload, binary, cache):
    """Builds from a list of files, because go refuses a folder that has C++ in it, and without
    asking the network for anything."""
    folder = BENCH / workload
    check_mirror(folder)
    environment = dict(os.environ, GOCACHE=str(cache), GOFLAGS="-mod=mod", GO111MODULE="on",
                       GOPROXY="off", GOWORK="off", GOTOOLCHAIN="local", CGO_ENABLED="0")
    command = ["go", "build", "-o", str(binary), f"{workload}/go.go", f"{workload}/config.go"]
    try:
        done = subprocess.run(command, cwd=BENCH, env=environment, capture_output=True, text=True)
    except FileNotFoundError:
        raise Failed("go is not installed") from None
    if done.returncode != 0:
        raise Failed(f"go build: {last_line(done.stderr)}")


# ---- one run of one contender


def pinned(cpus, command):
    return ["taskset", "-c", ",".join(map(str, cpus))] + [str(part) for part in command]


def result_of(stdout):
    """The one line of JSON that a contender prints."""
    lines = stdout.splitlines()
    try:
        sample = json.loads(lines[0]) if len(lines) == 1 else None
    except json.JSONDecodeError:
        sample = None
    if not isinstance(sample, dict) or "value" not in sample:
        raise Failed("did not print one result line")
    return sample


def run_program(command):
    """Runs a program to its end and returns its result line."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              errors="replace", timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Failed(f"not ended after {TIMEOUT_S} s") from None
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        raise Failed(last_line(done.stderr) or ending(done.returncode))
    return result_of(done.stdout)


def wait_for_line(process, seconds):
    """The first line a process prints, or "" when it ends or takes too long."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline().strip() if ready else ""


def end_server(server):
    """Ends a server by closing its stdin; one that does not mind is killed."""
    server.stdin.close()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    server.stdout.close()


def run_echo(server_command, client_command, contender):
    """Starts a server, drives it with the client, and returns the client's result line."""
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        def words_of_server():
            errors.seek(0)
            return last_line(errors.read())
        try:
            server = subprocess.Popen(server_command, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=errors, text=True)
        except OSError as error:
            raise Failed(f"{server_command[0]}: {error.strerror}") from None
        try:
            port = wait_for_line(server, SERVER_START_S)
            if not port.isdigit():
                raise Failed("the server did not say its port")
            # taskset becomes the server by exec, so the process id is the server's own.
            sample = run_program(client_command + ["--port", port, "--pid", str(server.pid)])
        except Failed as failure:
            # A server that fell over knows better than its client why.
            raise Failed(words_of_server() or str(failure)) from None
        finally:
            end_server(server)
    sample["contender"] = contender
    return sample


class Runner:
    """Where programs lie, on which CPUs they run, and how large the workloads are."""

    def __init__(self, options):
        self.folder = options.builddir / "bench"
        self.cpus = sorted(os.sched_getaffinity(0))
        self.procs = options.procs
        self.sizes = []
        for name in ("ops", "count"):
            if getattr(options, name) is not None:
                self.sizes += [f"--{name}", getattr(options, name)]
        # A tenth of the work; echo's is measured by time.
        self.less_work = ["--divide", 10] if options.quick else []
        self.less_time = ["--milliseconds", 500] if options.quick else []

    def binary(self, workload, contender):
        return self.folder / f"bench_{workload}_{contender}"

    def prepare(self, workload, contender):
        """Makes sure that the program is there."""
        binary = self.binary(workload, contender)
        if contender == "go":
            self.folder.mkdir(parents=True, exist_ok=True)
            build_go(workload, binary, self.folder / "go-cache")
        elif not binary.exists():
            raise Failed(f"{binary.name} is not built")

    def procs_of(self, workload):
        return 1 if WORKLOADS[workload].one_p else self.procs

    def contenders_of(self, workload):
        shape = WORKLOADS[workload]
        drop_limit = shape.limit_is_one_thread and self.procs_of(workload) > 1
        return [c for c in shape.contenders if not (c == "limit" and drop_limit)]

    def cpus_of(self, workload):
        return self.cpus[:self.procs_of(workload)]

    def client_cpus(self):
        """With one P, the server has the first CPU and the load the second, where there is one;
        with more, all share all."""
        return self.cpus if self.procs > 1 else self.cpus[1:2] or self.cpus

    def run(self, workload, contender):
        procs = ["--procs", self.procs_of(workload)]
        command = [self.binary(workload, contender)] + procs
        if workload != "echo":
            command += self.sizes + self.less_work
            return run_program(pinned(self.cpus_of(workload), command))
        client = [self.binary("echo", "client")] + procs + self.sizes + self.less_time
        server_cpus = self.cpus_of("echo") if self.procs == 1 else self.cpus
        return run_echo(pinned(server_cpus, command), pinned(self.client_cpus(), client),
                        contender)


# ---- many runs, and what they say


def collect(runner, workload, runs):
    """All samples of each contender, and why those that failed did."""
    samples, failures = {}, {}

    def attempt(contender, action):
        try:
            return action(workload, contender)
        except Failed as failure:
            failures[contender] = str(failure)
            print(f"bench: {workload}, {contender} failed: {failure}", file=sys.stderr)
            return None

    contenders = runner.contenders_of(workload)
    for contender in contenders:
        attempt(contender, runner.prepare)
    for _ in range(runs):
        for contender in contenders:
            if contender in failures:
                continue
            sample = attempt(contender, runner.run)
            if sample is not None:
                samples.setdefault(contender, []).append(sample)
    return samples, failures


def summary(figure, samples):
    """Best and median of one figure for each contender."""
    result = {}
    for contender, lines in samples.items():
        values = [line[figure.key] for line in lines if figure.key in line]
        if values:
            result[contender] = {"best": figure.best(values), "median": statistics.median(values)}
    for row in result.values():
        for reference in ("go", "limit"):
            base = result.get(reference, {}).get("best")
            if base:
                row[f"to_{reference}"] = row["best"] / base
    return result


def number(value):
    """Four significant digits, without an exponent."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 4 - len(str(int(abs(value)))) if abs(value) >= 1 else 4
    return f"{value:.{max(digits, 0)}f}"


def print_table(figure, rows, title):
    direction = "higher" if figure.higher_is_better else "lower"
    print(f"{title}: {figure.meaning} ({direction} is better)")
    best = "max" if figure.higher_is_better else "min"
    print(f"  {'':10}{best:>14}{'median':>14}{'to go':>10}{'to limit':>10}")
    for contender, row in rows.items():
        print(f"  {contender:10}{number(row['best']):>14}{number(row['median']):>14}"
              f"{number(row.get('to_go')):>10}{number(row.get('to_limit')):>10}")


def print_workload(runner, workload, samples, failures, figures):
    for i, figure in enumerate(WORKLOADS[workload].figures):
        title = workload if i == 0 else f"  {figure.key}"
        print_table(figure, figures[figure.key], title)
    counts = {c: lines[0]["count"] for c, lines in samples.items() if "count" in lines[0]}
    if len(set(counts.values())) > 1:
        print("  count: " + ", ".join(f"{c} {n:,.0f}" for c, n in counts.items()))
    for contender, reason in failures.items():
        print(f"  {contender:10} failed: {reason}")
    print(flush=True)


def compiler_of(results):
    """What built the C++ contenders, as they say themselves."""
    for result in results.values():
        for contender, lines in result["samples"].items():
            if contender != "go":
                return lines[0]["compiler"]
    return None


def positive(text):
    value = int(text)
    if value <= 0:
        raise ValueError
    return value


def parse_arguments():
    parser = argparse.ArgumentParser(
        prog="bench", description="Compares pirn with Go, threads and the bare machine.",
        epilog="workloads: " + ", ".join(WORKLOADS))
    parser.add_argument("workloads", nargs="*", metavar="workload", help="default: all")
    parser.add_argument("--builddir", type=pathlib.Path, required=True,
                        help="meson's build directory, configured with -Dbench=true")
    parser.add_argument("--runs", type=positive, help="runs of each contender (5; --quick: 2)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE",
                        help="where all samples go (default: bench.json in the build directory)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work: rough figures")
    parser.add_argument("--procs", type=positive, default=1,
                        help="Ps of each contender (default 1, pinned to one CPU)")
    parser.add_argument("--ops", type=positive, help="operations, instead of each one's default")
    parser.add_argument("--count", type=positive,
                        help="goroutines, leaves or connections, instead of each one's default")
    options = parser.parse_args()
    options.builddir = options.builddir.resolve()  # go build runs in another folder
    options.runs = options.runs or (2 if options.quick else 5)
    options.json = options.json or options.builddir / "bench.json"
    return options


def main():
    options = parse_arguments()
    for name in options.workloads:
        if name not in WORKLOADS:
            print(f"bench: unknown workload '{name}'; there are {', '.join(WORKLOADS)}",
                  file=sys.stderr)
            return 2
    runner = Runner(options)
    header = {
        "machine": machine(), "commit": commit(), "go": output_of(["go", "version"]),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "runs": options.runs,
        "procs": options.procs, "quick": options.quick,
    }
    where = header["machine"]
    print(f"{where['cpu']}, {where['cores']} CPUs, {where['kernel']}; runs: {options.runs}, "
          f"interleaved; Ps: {options.procs}", flush=True)
    if where["load_average"] > 0.5:
        print(f"The machine is not idle (load {where['load_average']:.1f}): "
              "times are too long, and vary.", flush=True)
    print(flush=True)
    results = {}
    for workload in dict.fromkeys(options.workloads or WORKLOADS):
        samples, failures = collect(runner, workload, options.runs)
        figures = {f.key: summary(f, samples) for f in WORKLOADS[workload].figures}
        print_workload(runner, workload, samples, failures, figures)
        results[workload] = {"procs": runner.procs_of(workload), "figures": figures,
                             "failures": failures, "samples": samples}
    compiler = compiler_of(results)
    if compiler and "not optimized" in compiler:
        print("bench: the C++ contenders are not optimized: compare nothing", file=sys.stderr)
    document = {**header, "compiler": compiler, "workloads": results}
    try:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    except OSError as error:
        print(f"bench: cannot write {options.json}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"all samples: {options.json}")
    return 1 if any(result["failures"] for result in results.values()) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read the tables has gone. Python's own flush at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
