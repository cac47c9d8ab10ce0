"""An engine of bare sockets in the test's own process: it says, byte by byte, what it is told to say."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from io import BufferedReader
from typing import Any

from tests.support.endpoint import Endpoint, until

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
EVENTS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
END = b"0\r\n\r\n"
Says = Callable[[bytes], Iterable[bytes]]


def chunk(data: bytes) -> bytes:
    """One chunk of an answer."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Bare:
    """A replica that answers /health, and everything else with the pieces that `says` makes of the request's
    head.

    After the last piece it closes the connection. `heads` are the requests that it was sent.
    """

    def __init__(self, says: Says) -> None:
        self.heads: list[bytes] = []
        bare = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                bare._serve(self.request, says)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Who leaves in the middle is no error here."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _serve(self, connection: socket.socket, says: Says) -> None:
        stream = connection.makefile("rb")
        while head := _head(stream):
            if head.startswith(b"GET /health "):
                connection.sendall(OK)
                continue
            fields = head.lower().split(b"content-length: ")
            left = int(fields[1].split(b"\r\n")[0]) if len(fields) > 1 else 0
            while left and (piece := stream.read1(min(left, 1 << 16))):
                left -= len(piece)
            self.heads.append(head)
            for piece in says(head):
                connection.sendall(piece)
            break
        stream.close()

    def join(self, endpoint: Endpoint, name: str) -> "Bare":
        """Becomes a replica of the endpoint."""
        endpoint.engines[name] = (self, self.port)  # type: ignore[assignment]
        endpoint.route()
        until(lambda: name in endpoint.ready(), 30)
        return self

    def kill(self) -> None:
        """It listens no more."""
        self._server.shutdown()
        self._server.server_close()

    def wait(self) -> None:
        """As of a process."""


def _head(stream: BufferedReader) -> bytes:
    """The next request's head without the empty line behind it; nothing where the other side has closed."""
    head = b""
    while (line := stream.readline()) not in (b"", b"\r\n"):
        head += line
    return head if line else b""
