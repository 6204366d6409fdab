# SPDX-License-Identifier: MIT
"""Cases of test_examples.py for http_server's requests that have a context: what goes with them to
every goroutine, and what ends them."""

import re
import socket
import threading
import time

from serving import (
    GET,
    HELLO,
    Failed,
    Reader,
    Server,
    check,
    expect_statuses,
    post,
    reset,
    wait_until,
)


def parts(count, ms, *fields):
    lines = [f"GET /parts?n={count}&ms={ms} HTTP/1.1", "Host: test", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def running(server):
    """How many goroutines the server has, and how many of them are parts of requests."""
    with server.connect() as connection:
        connection.sendall(b"GET /stats HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        body = Reader(connection).reply()[2]
    match = re.match(rb"^goroutines (\d+)\nparts (\d+)\n$", body)
    check(match, f"stats {body!r}")
    return tuple(int(group) for group in match.groups())


def wait_for_parts(server, count):
    wait_until(lambda: running(server)[1] == count, f"there are never {count} parts")


def wait_for_rest(server, goroutines):
    """Until no part runs and no more goroutines are left than once."""
    wait_until(
        lambda: running(server)[1] == 0 and running(server)[0] <= goroutines,
        f"there are never {goroutines} goroutines again",
    )


def slow_forever(path, *flags):
    """A server whose requests may take ten minutes, so that no timeout ends what a case ends."""
    return Server(path, "--timeout", "600000", *flags)


def trace_id_reaches_every_goroutine(_, path):
    def client(server, ident, failures):
        try:
            with server.connect() as connection:
                reader = Reader(connection)
                for number in range(20):
                    mine = f"{ident}-{number}"
                    connection.sendall(parts(8, 1, f"x-request-id: {mine}"))
                    fields = reader.expect(200, f"trace {mine}\n".encode() * 8)
                    check(fields.get("x-request-id") == mine, f"fields {fields}")
        except (Failed, OSError) as failure:
            failures.append(str(failure))

    for procs in ("1", "2", "4"):
        with Server(path, "--procs", procs) as server:
            failures = []
            clients = [
                threading.Thread(target=client, args=(server, f"client-{number}", failures))
                for number in range(20)
            ]
            for thread in clients:
                thread.start()
            for thread in clients:
                thread.join()
            check(not failures, f"{procs} Ps: {failures[:1]}")
            server.end()


def trace_id_is_made_where_none_comes(_, path):
    with Server(path) as server, server.connect() as connection:
        reader = Reader(connection)
        made = set()
        unfit = ("X-Request-Id: two words", "X-Request-Id: " + "x" * 129, "X-Request-Id:")
        for fields in ((), *((field,) for field in unfit), ()):
            connection.sendall(parts(3, 0, *fields))
            _, got, body = reader.reply()
            ident = got.get("x-request-id", "")
            check(re.match(r"^[0-9a-f]{16}$", ident), f"id {ident!r} for {fields}")
            check(body == f"trace {ident}\n".encode() * 3, f"body {body!r} for id {ident}")
            made.add(ident)
        check(len(made) == 5, f"five requests have the ids {made}")
        # Where no context is needed, an id comes back all the same, and none is made.
        connection.sendall(GET[:-2] + b"X-Request-Id: mine\r\n\r\n" + GET)
        check(reader.expect(200, HELLO).get("x-request-id") == "mine", "the id does not come back")
        check("x-request-id" not in reader.expect(200, HELLO), "an id from nowhere")


def timeout_gives_504(_, path):
    with Server(path, "--timeout", "200") as server, server.connect() as connection:
        reader = Reader(connection)
        before = running(server)[0]
        for _ in range(2):
            begin = time.monotonic()
            connection.sendall(parts(50, 60000, "X-Request-Id: late"))
            fields = reader.expect(504, b"context deadline exceeded\n")
            seconds = time.monotonic() - begin
            check(0.2 <= seconds < 10, f"the answer came after {seconds:.3f} s")
            check(fields.get("x-request-id") == "late", f"fields {fields}")
            # Before it is answered, all that worked for it has ended.
            check(running(server)[1] == 0, "parts outlive their request")
        connection.sendall(parts(1, 0, "X-Request-Id: next") + GET)
        reader.expect(200, b"trace next\n")
        reader.expect(200, HELLO)
        wait_for_rest(server, before)
        server.end()


def client_that_goes_away_ends_its_goroutines(_, path):
    def half_close(connection):
        connection.shutdown(socket.SHUT_WR)
        check(connection.recv(1) == b"", "an answer, though nobody was there")
        connection.close()

    def in_midst_of_the_next(connection):
        connection.sendall(GET + GET[:9])
        connection.close()

    ways = (socket.socket.close, reset, half_close, in_midst_of_the_next)
    for procs in ("1", "4"):
        with slow_forever(path, "--procs", procs) as server:
            before = running(server)[0]
            for leave in ways:
                gone, stays = server.connect(), server.connect()
                gone.sendall(parts(40, 60000))
                stays.sendall(parts(2, 60000))
                wait_for_parts(server, 42)
                leave(gone)
                wait_for_parts(server, 2)  # The others' go on.
                stays.close()
                wait_for_rest(server, before)
            server.end()


def requests_behind_a_slow_one(_, path):
    slow = parts(2, 300, "X-Request-Id: slow")
    stream = b"".join(post(b"%d" % number * 30) for number in range(3000))
    with slow_forever(path) as server, server.connect() as connection:
        reader = Reader(connection)
        # In one piece.
        connection.sendall(GET + slow + GET + slow + post(b"end"))
        for body in (HELLO, b"trace slow\n" * 2, HELLO, b"trace slow\n" * 2, b"end"):
            reader.expect(200, body)
        # What comes while it is answered: a request, the first bytes of one, and more than fits.
        for later in (GET, GET[:1], GET[:20], stream):
            connection.sendall(slow)
            wait_for_parts(server, 2)
            sender = threading.Thread(target=connection.sendall, args=(later,))
            sender.start()
            reader.expect(200, b"trace slow\n" * 2)
            sender.join()
            if later is stream:
                for number in range(3000):
                    reader.expect(200, b"%d" % number * 30)
            else:
                connection.sendall(GET[len(later) :])
                reader.expect(200, HELLO)
        # What comes before it does not wait for it.
        connection.sendall(GET + parts(1, 60000))
        reader.expect(200, HELLO)
        wait_for_parts(server, 1)
        check(server.end()[1] >= 3012, "wrong totals")


def slow_request_that_ends_its_connection(_, path):
    with Server(path) as server, server.connect() as connection:
        connection.sendall(parts(1, 50, "X-Request-Id: a", "Connection: close") + GET)
        reader = Reader(connection)
        fields = reader.expect(200, b"trace a\n")
        check(fields.get("connection") == "close", f"fields {fields}")
        reader.expect_end()


def signal_amid_slow_requests(_, path):
    with slow_forever(path) as server:
        held = [server.connect() for _ in range(10)]
        for connection in held:
            connection.sendall(parts(5, 60000))
        wait_for_parts(server, 50)
        begin = time.monotonic()
        server.end()
        seconds = time.monotonic() - begin
        check(seconds < 10, f"it took {seconds:.1f} s to end")
        for connection in held:
            connection.close()


def wrong_parts(_, path):
    cases = (
        (b"GET /parts?n=1001 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /parts?ms=x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /parts?n= HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /parts?nn=1&&n=0&ms=0 HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"POST /parts HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405),
        (b"BREW /stats HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    )
    expect_statuses(path, cases)


CONTEXT_CASES = (
    trace_id_reaches_every_goroutine,
    trace_id_is_made_where_none_comes,
    timeout_gives_504,
    client_that_goes_away_ends_its_goroutines,
    requests_behind_a_slow_one,
    slow_request_that_ends_its_connection,
    signal_amid_slow_requests,
    wrong_parts,
)
