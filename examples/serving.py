# SPDX-License-Identifier: MIT
"""What the checks of the example servers share: a server that runs, and the HTTP that it speaks."""

import os
import re
import resource
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

WAIT = 20.0  # Seconds that anything may take before the case fails: slow for a sanitizer's sake.
TOTALS = re.compile(r"^(\w+): (\d+) connections, (\d+) requests, (\d+) bytes in, (\d+) bytes out$")
LISTENING = re.compile(r"^listening on 127\.0\.0\.1:(\d+)$")
HELLO = b"Hello, World!\n"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Failed(Exception):
    """A case's reason to fail."""


def check(condition, why):
    if not condition:
        raise Failed(why)


def wait_until(condition, why, seconds=WAIT):
    """Polls condition; the reason names what never came about."""
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, why)
        time.sleep(0.01)


class Server:
    """A running example server on a free port; leaving the block kills it if it still runs."""

    def __init__(self, path, *flags, descriptors=None):
        self.errors = tempfile.TemporaryFile()

        def limit():
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen(
            [path, "--listen", "127.0.0.1:0", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            preexec_fn=limit,
        )
        watchdog = threading.Timer(WAIT, self.process.kill)
        watchdog.start()
        line = self.process.stdout.readline().decode().rstrip("\n")
        watchdog.cancel()
        match = LISTENING.match(line)
        if not match:
            self.close()
            raise Failed(f"printed {line!r} instead of where it listens; {self.stderr()!r}")
        self.port = int(match.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def stderr(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def alive(self):
        status = self.process.poll()
        check(status is None, f"it ended by itself with status {status}: {self.stderr()!r}")

    def end(self, number=signal.SIGINT):
        """Signals it, expects a clean end, and returns (connections, requests, in, out)."""
        self.alive()
        self.process.send_signal(number)
        try:
            self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            raise Failed(f"it still runs {WAIT:.0f} s after signal {number}") from None
        rest = self.process.stdout.read().decode()
        status = self.process.returncode
        check(status == 0, f"status {status} after signal {number}; {self.stderr()!r}")
        lines = rest.splitlines()
        check(len(lines) == 1, f"expected one line of totals, got {rest!r}")
        match = TOTALS.match(lines[0])
        check(match, f"no totals in {rest!r}")
        return tuple(int(group) for group in match.groups()[1:])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Reader:
    """Reads HTTP replies from a connection; keeps what came after the last one."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""
        self.pieces = 0

    def fill(self):
        piece = self.connection.recv(1 << 16)
        self.pieces += 1
        check(piece, f"end of stream after {self.buffer!r:.200}")
        self.buffer += piece

    def reply(self, has_body=True):
        """Returns (status, fields, body); an interim 100 is a reply as well."""
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        match = re.match(r"^HTTP/1\.1 (\d{3}) [A-Za-z ]+$", lines[0])
        check(match, f"status line {lines[0]!r}")
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            fields[name.lower()] = value
        status = int(match.group(1))
        if status == 100:
            return status, fields, b""
        size = int(fields["content-length"]) if has_body else 0
        while len(self.buffer) < size:
            self.fill()
        body, self.buffer = self.buffer[:size], self.buffer[size:]
        return status, fields, body

    def expect(self, status, body=None, has_body=True):
        got_status, fields, got_body = self.reply(has_body)
        check(got_status == status, f"status {got_status} instead of {status}")
        if body is not None:
            check(got_body == body, f"body {got_body!r:.80} instead of {body!r:.80}")
        return fields

    def expect_end(self):
        check(self.buffer == b"", f"unexpected {self.buffer!r:.200}")
        piece = self.connection.recv(1 << 16)
        check(piece == b"", f"expected the end of the stream, got {piece!r:.200}")


def expect_statuses(path, cases):
    """One connection to a server; each (request, status) in turn."""
    with Server(path) as server, server.connect() as connection:
        reader = Reader(connection)
        for request, status in cases:
            connection.sendall(request)
            reader.expect(status)


def post(body, *fields):
    lines = ["POST /echo HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reset(connection):
    """Closes with a reset instead of an end of stream."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def serves(name, server):
    """One exchange on a fresh connection: the server is there and answers."""
    with server.connect() as connection:
        if name == "echo_server":
            connection.sendall(b"ping")
            got = b""
            while len(got) < 4:
                piece = connection.recv(4 - len(got))
                check(piece, "no echo")
                got += piece
            check(got == b"ping", f"echo {got!r}")
        else:
            connection.sendall(GET)
            Reader(connection).expect(200, HELLO)
