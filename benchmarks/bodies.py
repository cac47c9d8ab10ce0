"""What bodies cost the gateway's memory: at the peak of one of 100 MB, and after uploads that were given
up."""

import contextlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import psutil

from benchmarks.load import gateway

MIB = 1 << 20
HEAD = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


class Reads(http.server.BaseHTTPRequestHandler):
    """An engine that reads everything and says nothing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        left = int(self.headers.get("content-length") or 0)
        while left:
            left -= len(self.rfile.read1(min(left, MIB)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def reader() -> Iterator[int]:
    """Such an engine's port."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Reads) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextlib.contextmanager
def peak(process: psutil.Process) -> Iterator[list[int]]:
    """The most that a process held meanwhile."""
    seen, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.002):
            seen[0] = max(seen[0], process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    yield seen
    done.set()
    looking.join()


def upload(port: int, sent: int, told: int) -> socket.socket:
    """A connection on which so much of a body was sent."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % told)
    for _ in range(sent // MIB):
        connection.sendall(b"x" * MIB)
    return connection


def bodies() -> None:
    """One of 100 MB; then four rounds of six of 200 MB that end before they are whole."""
    with reader() as engine, gateway([engine]) as (port, process):
        with upload(port, MIB, MIB) as warm:
            warm.recv(1000)
        before = process.memory_info().rss
        with peak(process) as seen, upload(port, 100 * MIB, 100 * MIB) as one:
            one.recv(1000)
        print(
            f"a body of 100 MiB        at its peak {(seen[0] - before) / (100 * MIB):.2f} times its size "
            f"(target: 1.20 or less)"
        )
        for number in range(4):
            given_up = [upload(port, 100 * MIB, 200 * MIB) for _ in range(6)]
            most = process.memory_info().rss
            for one in given_up:
                one.close()
            time.sleep(0.5)
            after = process.memory_info().rss
            print(
                f"six uploads given up     round {number + 1}: {most / MIB:6.0f} MiB, then "
                f"{after / MIB:4.0f} MiB ({(after - before) / MIB:+.1f})"
            )
