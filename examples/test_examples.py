#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the example programs from outside, over real sockets on 127.0.0.1.

usage: test_examples.py --builddir DIR [--only TEXT] [--drops N]

One line per case, "ok NAME" or "FAIL NAME: why"; then "N passed, N failed", and how many were
skipped when a program was not built. Every wait has a limit, and every child is ended.
"""

import argparse
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from context_cases import CONTEXT_CASES
from serving import (
    GET,
    HELLO,
    WAIT,
    Failed,
    Reader,
    Server,
    check,
    expect_statuses,
    post,
    reset,
    serves,
    wait_until,
)

SERVERS = ("echo_server", "http_server", "http_threads")
HTTP_SERVERS = ("http_server", "http_threads")


def run_briefly(path, *flags):
    done = subprocess.run(
        [path, *flags], stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT, check=False
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def expect_usage_error(path, *flags, word):
    status, out, err = run_briefly(path, *flags)
    check(status == 2, f"status {status} for {flags}")
    check(out == "", f"stdout {out!r} for {flags}")
    check(len(err.splitlines()) == 1 and err.endswith("\n"), f"stderr is not one line: {err!r}")
    check(word in err, f"{word!r} is not in {err!r}")


# Cases for the small programs.


def hello_greets(path):
    status, out, err = run_briefly(path)
    check(status == 0, f"status {status}: {err!r}")
    check(out == "hello from a goroutine\n", f"stdout {out!r}")
    check(err == "", f"stderr {err!r}")


# Cases for every server.


def help_ends_with_status_0(name, path):
    status, out, err = run_briefly(path, "--help")
    check(status == 0, f"status {status}")
    check(err == "", f"stderr {err!r}")
    words = ["usage:", "--listen", "--help"] + (["--procs"] if name != "http_threads" else [])
    for word in words:
        check(word in out, f"{word} is not in the help")


def bad_flags_are_named(name, path):
    expect_usage_error(path, "--nonsense", word="--nonsense")
    expect_usage_error(path, "nonsense", word="nonsense")
    expect_usage_error(path, "--listen", word="--listen")
    if name == "http_threads":
        expect_usage_error(path, "--procs", "2", word="--procs")
    else:
        for value in ("", "abc", "-1", "2x", "99999999999999999999"):
            expect_usage_error(path, "--procs", value, word="--procs")
    if name == "http_server":
        for value in ("", "0", "-1", "2x", "99999999999"):
            expect_usage_error(path, "--timeout", value, word="--timeout")
    else:
        expect_usage_error(path, "--timeout", "9", word="--timeout")


def bad_addresses_are_named(_, path):
    for address in ("nonsense", "127.0.0.1:99999", "127.0.0.1:x", "256.0.0.1:80", "1.2.3.4.5:80"):
        expect_usage_error(path, "--listen", address, word=f"'{address}'")
        expect_usage_error(path, f"--listen={address}", word=f"'{address}'")


def port_in_use_is_named(_, path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        expect_usage_error(path, "--listen", address, word=address)
        expect_usage_error(path, "--listen", address, word="in use")


def signals_end_with_totals(name, path):
    for number in (signal.SIGINT, signal.SIGTERM):
        with Server(path) as server:
            check(server.end(number) == (0, 0, 0, 0), "totals of nothing are not 0")
        with Server(path) as server:
            for _ in range(3):
                serves(name, server)
            with server.connect() as idle:  # Blocked in read when the signal comes.
                serves(name, server)
                connections, requests, bytes_in, bytes_out = server.end(number)
                check(idle.recv(1) == b"", "the idle connection got something")
            check(connections in (4, 5), f"{connections} connections")
            check(requests == 4, f"{requests} requests")
            size = 4 if name == "echo_server" else len(GET)
            check(bytes_in == 4 * size, f"{bytes_in} bytes in")
            check(bytes_out >= 4 * 4, f"{bytes_out} bytes out")


def closed_stdout_is_no_reason_to_die(_, path):
    with Server(path) as server:
        server.process.stdout.close()
        server.process.send_signal(signal.SIGINT)
        check(server.process.wait(WAIT) == 0, f"status {server.process.returncode}")


def resets_do_not_hurt(name, path):
    with Server(path) as server:
        for _ in range(50):
            reset(server.connect())
            connection = server.connect()
            connection.sendall(GET)
            reset(connection)
        # Resets while the server writes into a connection that nobody reads.
        for _ in range(5):
            connection = server.connect()
            connection.settimeout(0.2)
            try:
                for _ in range(64):
                    connection.sendall(post(b"x" * 100000))
            except TimeoutError:
                pass
            reset(connection)
        serves(name, server)
        server.end()


def connections_dropped(name, path, drops):
    with Server(path) as server:
        serves(name, server)
        before = server.descriptors()
        for first in range(0, drops, 100):
            held = [server.connect() for _ in range(min(100, drops - first))]
            for number, connection in enumerate(held):
                if number % 4 == 1:
                    connection.sendall(GET[:10])
                if number % 4 == 3:
                    reset(connection)
                else:
                    connection.close()
        wait_until(
            lambda: server.descriptors() <= before, f"{server.descriptors()} descriptors stay open"
        )
        serves(name, server)
        check(server.end()[0] <= drops + 2, "more connections counted than opened")


def descriptor_limit_is_said_once_a_second(name, path):
    with Server(path, descriptors=64) as server:
        begin = time.monotonic()
        held = [server.connect() for _ in range(100)]
        wait_until(lambda: "Too many open files" in server.stderr(), "it says nothing at the limit")
        cpu = server.cpu_seconds()
        time.sleep(1.5)  # The limit lasts: it must neither spin nor repeat itself.
        cpu = server.cpu_seconds() - cpu
        seconds = time.monotonic() - begin
        lines = [line for line in server.stderr().splitlines() if "Too many" in line]
        check(len(lines) <= seconds + 1, f"{len(lines)} lines in {seconds:.1f} s")
        check(cpu < 0.4, f"{cpu:.2f} CPU seconds in 1.5 s of waiting")
        # Who is in is served.
        held[0].sendall(GET)
        check(held[0].recv(1 << 16), "an accepted connection is not served at the limit")
        for connection in held:
            connection.close()
        serves(name, server)
        server.end()


def many_clients_at_once(name, path):
    def client(server, failures):
        try:
            with server.connect() as connection:
                reader = Reader(connection)
                for number in range(20):
                    if name == "echo_server":
                        connection.sendall(b"%08d" % number)
                        while len(reader.buffer) < 8:
                            reader.fill()
                        check(reader.buffer == b"%08d" % number, f"echo {reader.buffer!r}")
                        reader.buffer = b""
                    else:
                        connection.sendall(post(b"%08d" % number))
                        reader.expect(200, b"%08d" % number)
        except (Failed, OSError) as failure:
            failures.append(str(failure))

    variants = [[]] if name == "http_threads" else [["--procs", n] for n in ("1", "2", "4", "8")]
    for flags in variants:
        with Server(path, *flags) as server:
            failures = []
            clients = [
                threading.Thread(target=client, args=(server, failures)) for _ in range(60)
            ]
            for thread in clients:
                thread.start()
            for thread in clients:
                thread.join()
            check(not failures, f"{flags}: {failures[:1]}")
            connections, requests = server.end()[:2]
            check(connections == 60, f"{connections} connections")
            check(requests >= 60 * 20, f"{requests} requests")


def signal_under_load(_, path):
    with Server(path) as server:
        stop = threading.Event()

        def client():
            try:
                with server.connect() as connection:
                    while not stop.is_set():
                        connection.sendall(GET)
                        if not connection.recv(1 << 16):
                            return
            except OSError:
                pass  # The server went away: that is what is asked of it.

        clients = [threading.Thread(target=client) for _ in range(20)]
        for thread in clients:
            thread.start()
        try:
            time.sleep(0.3)
            totals = server.end()
        finally:
            server.close()
            stop.set()
            for thread in clients:
                thread.join()
        check(totals[1] > 0, "nothing was served before the signal")


# Cases for echo_server.


def echo_of_a_megabyte(_, path):
    data = os.urandom(1 << 20)
    with Server(path) as server, server.connect() as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        got = bytearray()
        while len(got) < len(data):
            piece = connection.recv(1 << 16)
            check(piece, f"end of stream after {len(got)} bytes")
            got += piece
        sender.join()
        check(bytes(got) == data, "other bytes came back")
        connection.shutdown(socket.SHUT_WR)
        check(connection.recv(1) == b"", "the server does not end the connection after its peer")
        connections, _, bytes_in, bytes_out = server.end()
        check((connections, bytes_in, bytes_out) == (1, len(data), len(data)), "wrong totals")


# Cases for the HTTP servers.


def keep_alive(_, path):
    with Server(path) as server, server.connect() as connection:
        reader = Reader(connection)
        for _ in range(2):
            connection.sendall(GET)
            fields = reader.expect(200, HELLO)
            check("connection" not in fields, f"Connection: {fields.get('connection')}")
            check("date" in fields, "no Date")
        check(server.end()[:2] == (1, 2), "wrong totals")


def pipelining_in_order(_, path):
    with Server(path) as server, server.connect() as connection:
        reader = Reader(connection)
        connection.sendall(b"".join(post(b"%d" % number) for number in range(10)))
        for number in range(10):
            reader.expect(200, b"%d" % number)
        check(reader.pieces == 1, f"the ten replies came in {reader.pieces} pieces")
        # Many more than fit into a buffer, cut anywhere.
        stream = b"".join(post(b"%d" % number * 30) for number in range(3000))

        def send():
            for begin in range(0, len(stream), 4999):
                connection.sendall(stream[begin : begin + 4999])

        sender = threading.Thread(target=send)
        sender.start()
        for number in range(3000):
            reader.expect(200, b"%d" % number * 30)
        sender.join()
        check(server.end()[1] == 3010, "wrong totals")


def late_reader_gets_everything(_, path):
    with Server(path) as server, server.connect() as connection:
        body = os.urandom(200000)
        sender = threading.Thread(target=connection.sendall, args=(post(body) * 40,))
        sender.start()
        time.sleep(0.3)  # Long enough for every buffer on the way to fill.
        reader = Reader(connection)
        for _ in range(40):
            reader.expect(200, body)
        sender.join()


def one_byte_at_a_time(_, path):
    stream = (
        b"\r\n" + GET + post(b"body")
        + b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
        + b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    with Server(path) as server, server.connect() as connection:
        reader = Reader(connection)
        for number in range(len(stream)):
            connection.sendall(stream[number : number + 1])
            time.sleep(0.0005)  # Lets most bytes travel alone; right either way.
        for body in (HELLO, b"body", b"abcde", b""):
            reader.expect(200, body)
        server.end()


def head_has_no_body(_, path):
    with Server(path) as server, server.connect() as connection:
        reader = Reader(connection)
        connection.sendall(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        fields = reader.expect(200, has_body=False)
        check(fields["content-length"] == str(len(HELLO)), f"length {fields['content-length']}")
        reader.expect(200, HELLO)


def routes(_, path):
    cases = (
        (b"GET /?query=1 HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405),
        (b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    )
    expect_statuses(path, cases)


def connection_close_and_http_1_0(_, path):
    cases = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    )
    with Server(path) as server:
        for request in cases:
            with server.connect() as connection:
                reader = Reader(connection)
                connection.sendall(request)
                fields = reader.expect(200, HELLO)
                check(fields.get("connection") == "close", f"fields {fields}")
                reader.expect_end()
        with server.connect() as connection:
            reader = Reader(connection)
            for _ in range(2):
                connection.sendall(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                fields = reader.expect(200, HELLO)
                check(fields.get("connection") == "keep-alive", f"fields {fields}")


def expect_100_continue(_, path):
    with Server(path) as server, server.connect() as connection:
        reader = Reader(connection)
        connection.sendall(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
        )
        reader.expect(100)
        connection.sendall(b"body")
        reader.expect(200, b"body")


def bad_requests_get_400(_, path):
    cases = (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"this is not HTTP\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nno colon here\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: minus one\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    )
    with Server(path) as server:
        for request in cases:
            with server.connect() as connection:
                reader = Reader(connection)
                connection.sendall(GET + request + GET)
                reader.expect(200, HELLO)  # What was right is answered first.
                fields = reader.expect(400)
                check(fields.get("connection") == "close", f"fields {fields}")
                reader.expect_end()
        with server.connect() as connection:
            reader = Reader(connection)
            connection.sendall(
                b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n" + GET
            )
            reader.expect(501)
            reader.expect_end()
        serves("http", server)


def too_large_is_refused(_, path):
    big = 3 << 20
    chunked = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    field = b"X-Field: " + b"y" * 80 + b"\r\n"
    begin = b"GET / HTTP/1.1\r\nHost: a\r\n"
    cases = (
        (413, [post(b"x" * big)]),
        (413, [chunked] + [b"10000\r\n" + b"x" * 65536 + b"\r\n"] * (big // 65536)),
        (431, [b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"]),
        (431, [begin + b"X: " + b"y" * 20000 + b"\r\n\r\n"]),
        (431, [begin] + [field] * 1000),
        (400, [chunked + b"1;" + b"x" * 200000]),
    )
    with Server(path) as server:
        for status, pieces in cases:
            with server.connect() as connection:
                # All of it is sent before the answer is read: the answer must survive that.
                for piece in pieces:
                    connection.sendall(piece)
                reader = Reader(connection)
                reader.expect(status)
                reader.expect_end()
        # Field by field, each piece ending in the next field's first byte: the parser can consume
        # every field on arrival, and only their sum is too large.
        with server.connect() as connection:
            connection.sendall(begin + field[:1])
            try:
                for _ in range(300):
                    connection.sendall(field[1:] + field[:1])
                    time.sleep(0.001)
            except OSError:
                pass  # The server may have had enough of it by now.
            reader = Reader(connection)
            reader.expect(431)
        with server.connect() as connection:  # A megabyte is within the limit.
            connection.sendall(post(b"x" * (1 << 20)))
            Reader(connection).expect(200, b"x" * (1 << 20))
        serves("http", server)


SERVER_CASES = (
    help_ends_with_status_0,
    bad_flags_are_named,
    bad_addresses_are_named,
    port_in_use_is_named,
    signals_end_with_totals,
    closed_stdout_is_no_reason_to_die,
    resets_do_not_hurt,
    connections_dropped,
    descriptor_limit_is_said_once_a_second,
    many_clients_at_once,
    signal_under_load,
)
HTTP_CASES = (
    keep_alive,
    pipelining_in_order,
    late_reader_gets_everything,
    one_byte_at_a_time,
    head_has_no_body,
    routes,
    connection_close_and_http_1_0,
    expect_100_continue,
    bad_requests_get_400,
    too_large_is_refused,
)
def all_cases(builddir, drops):
    """Yields (name, program's path, function without arguments)."""

    def bind(case, program):
        path = os.path.join(builddir, "examples", program)
        if case is connections_dropped:
            return path, lambda: case(program, path, drops)
        return path, lambda: case(program, path)

    path = os.path.join(builddir, "examples", "hello")
    yield "hello: greets", path, lambda: hello_greets(path)
    for program in SERVERS:
        cases = list(SERVER_CASES)
        cases += HTTP_CASES if program in HTTP_SERVERS else (echo_of_a_megabyte,)
        cases += CONTEXT_CASES if program == "http_server" else ()
        for case in cases:
            yield f"{program}: {case.__name__.replace('_', ' ')}", *bind(case, program)


def main():
    parser = argparse.ArgumentParser(description="checks the example programs from outside")
    parser.add_argument("--builddir", required=True, help="where meson built the examples")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    parser.add_argument("--drops", type=int, default=2000, help="connections opened and dropped")
    args = parser.parse_args()

    # Room for the clients' side of the cases, whatever the shell's limit.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    passed = failed = skipped = 0
    for name, path, case in all_cases(os.path.abspath(args.builddir), args.drops):
        if args.only not in name:
            continue
        if not os.path.exists(path):
            print(f"skip {name}: {os.path.basename(path)} is not built", flush=True)
            skipped += 1
            continue
        try:
            case()
        except (Failed, OSError, subprocess.SubprocessError, KeyError, ValueError) as failure:
            print(f"FAIL {name}: {failure or type(failure).__name__}", flush=True)
            failed += 1
        else:
            print(f"ok {name}", flush=True)
            passed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
