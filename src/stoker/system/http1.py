"""A small HTTP/1.1 server on asyncio and httptools, for what a web framework is too slow or too heavy for.

The gateway relays tens of thousands of stream events a second through it; the simulated engine starts in a
fraction of a second on it. Requests are read whole, answers may stream. One handler task a request.
"""

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any

import httptools

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]
MAX_HEADERS = 64 * 1024
MAX_BODY = 256 * 1024 * 1024
IDLE_SECONDS = 75.0
MOST_WAITING = 16  # requests of one connection that were sent before the first was answered
_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Request:
    """One request, read whole. Header names are lower case; `query` is without its question mark."""

    __slots__ = ("body", "headers", "keep_alive", "method", "path", "query")

    def __init__(self, method: str, target: bytes, headers: Headers, body: bytes, keep_alive: bool) -> None:
        path, _, query = target.partition(b"?")
        self.method = method
        self.path = path.decode("latin-1")
        self.query = query
        self.headers = headers
        self.body = body
        self.keep_alive = keep_alive

    def header(self, name: bytes) -> bytes | None:
        """The first header of that (lower case) name."""
        return next((value for key, value in self.headers if key == name), None)


class Exchange:
    """A request and the answer being given. `on_gone` is called once if the client leaves before the end."""

    __slots__ = ("_chunked", "_protocol", "on_gone", "on_writable", "request", "started")

    def __init__(self, protocol: "HttpProtocol", request: Request) -> None:
        self._protocol = protocol
        self._chunked = False
        self.request = request
        self.started = False
        self.on_gone: Callable[[], None] | None = None
        self.on_writable: Callable[[], None] | None = None

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._protocol.closed

    @property
    def choked(self) -> bool:
        """Whether the client reads more slowly than it is written to; `on_writable` is called when that ends."""
        return self._protocol.choked

    def start(self, status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Sends status and headers; what follows by `write` goes out in chunks."""
        self.started = self._chunked = True
        self._protocol.send(
            _head(status, headers, self._protocol.keeps(self.request), b"transfer-encoding: chunked\r\n")
        )

    def write(self, data: bytes) -> None:
        """Sends one chunk now."""
        if data and not self._protocol.closed:
            self._protocol.send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        """Ends a started answer."""
        self._protocol.send(b"0\r\n\r\n")
        self._protocol.finished(self)

    def abort(self) -> None:
        """Closes the connection at once: the client sees that the answer is not whole."""
        self._protocol.close()

    def reply(self, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Sends a whole answer. The headers carry no length; it is counted here."""
        self.started = True
        length = b"" if status in (204, 304) else b"content-length: %d\r\n" % len(body)
        head = _head(status, headers, self._protocol.keeps(self.request), length)
        self._protocol.send(head if self.request.method == "HEAD" else head + body)
        self._protocol.finished(self)


Handler = Callable[[Exchange], Awaitable[None]]
Refusal = Callable[[Request], tuple[int, bytes, Headers] | None]


def _head(status: int, headers: Iterable[tuple[bytes, bytes]], keep_alive: bool, framing: bytes) -> bytes:
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    close = b"" if keep_alive else b"connection: close\r\n"
    return b"HTTP/1.1 %d %b\r\n%b%b%b\r\n" % (status, _REASONS.get(status, b"Unknown"), lines, framing, close)


class HttpProtocol(asyncio.Protocol):
    """One client's connection: parses requests, runs the handler for one at a time, in order."""

    def __init__(
        self, handler: Handler, connections: "set[HttpProtocol]", refusal: Refusal | None = None
    ) -> None:
        self._handler = handler
        self._refusal = refusal
        self._in_head = self._in_message = self._paused = False
        self._head_bytes = 0
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[Request] = deque()
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._target = b""
        self._headers: Headers = []
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._refused = False
        self.closed = False
        self.choked = False
        self.stopping = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._connections.add(self)
        self._set_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._connections.discard(self)
        self._clear_idle()
        if self._current is not None and self._current.on_gone is not None:
            self._current.on_gone()
            self._current.on_gone = None

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay_with_http1(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._refuse(400, b"malformed request: " + str(error).encode("ascii", "replace"))
        self._head_bytes = self._head_bytes + len(data) if self._in_head else 0
        if self._head_bytes > MAX_HEADERS + len(data):  # the parser tells of a header when it is whole
            self._too_large()
        if self._in_message and self._current is None:
            self._set_idle()  # who stops in the middle of a request is not waited for

    def _stay_with_http1(self, rest: bytes) -> None:
        """Goes on after a request that offered another protocol, as `curl --http2` and Java's client do.

        The parser then takes the head for the whole request. With a body, it reads the head again, without the offer.
        """
        method = self._parser.get_method()
        self._parser = httptools.HttpRequestParser(self)
        if self._body_follows():
            kept = [
                pair
                for pair in self._headers
                if pair[0] not in (b"upgrade", b"connection", b"http2-settings")
            ]
            lines = b"".join(b"%b: %b\r\n" % pair for pair in kept)
            rest = b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, self._target, lines, rest)
        if rest:
            self.data_received(rest)

    def _body_follows(self) -> bool:
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self._headers
        )

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self.choked = True

    def resume_writing(self) -> None:
        self.choked = False
        if self._current is not None and self._current.on_writable is not None:
            self._current.on_writable()

    # httptools' side

    def on_message_begin(self) -> None:
        self._in_head = self._in_message = True
        self._target = b""
        self._headers = []
        self._header_bytes = 0
        self._body = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what comes behind a body are trailers, which say nothing here
            self._headers.append((name.lower(), value))
        self._count(len(name) + len(value))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._clear_idle()
        if self._refusal is not None and self._body_follows():
            method = self._parser.get_method().decode("latin-1")
            if (
                answer := self._refusal(Request(method, self._target, self._headers, b"", False))
            ) is not None:
                self._answer_and_close(*answer)
                return
        for name, value in self._headers:
            if name == b"expect" and value.lower() == b"100-continue":
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            elif name == b"content-length" and int(value) > MAX_BODY:
                self._refuse(413, b"the body is larger than %d bytes" % MAX_BODY)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY:
            self._refuse(413, b"the body is larger than %d bytes" % MAX_BODY)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._in_message = False
        self._clear_idle()
        if self._refused or (self._parser.should_upgrade() and self._body_follows()):
            return
        method = self._parser.get_method().decode("latin-1")
        keep_alive = self._parser.should_keep_alive()
        self._waiting.append(Request(method, self._target, self._headers, b"".join(self._body), keep_alive))
        self._body = []
        if len(self._waiting) >= MOST_WAITING and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._next()

    # ours

    def send(self, data: bytes) -> None:
        """Writes to the client, unless it has left."""
        if not self.closed:
            self._transport.write(data)

    def finished(self, exchange: Exchange) -> None:
        """The answer is out: the next request of this connection, or its end."""
        if exchange is not self._current:
            return
        exchange.on_gone = exchange.on_writable = None
        self._current = None
        if self._paused and len(self._waiting) < MOST_WAITING and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
        if not exchange.request.keep_alive or self.stopping:
            self.close()
        elif self._waiting:
            self._next()
        else:
            self._set_idle()

    def close(self) -> None:
        """Closes the connection after what was written."""
        if not self.closed:
            self._transport.close()

    def keeps(self, request: Request) -> bool:
        """Whether the connection stays open after the answer to a request."""
        return request.keep_alive and not self.stopping

    def stop(self, idle: float = 0.0) -> None:
        """This request is the last one; a connection without any has `idle` seconds to send one."""
        self.stopping = True
        if self._current is None and not idle:
            self.close()
        elif self._current is None:
            self._clear_idle()
            self._idle = asyncio.get_running_loop().call_later(idle, self.close)

    def _next(self) -> None:
        if self._current is not None or not self._waiting or self.closed:
            return
        self._current = Exchange(self, self._waiting.popleft())
        self._task = asyncio.get_running_loop().create_task(self._run(self._current))

    async def _run(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
        except Exception:
            log.exception("%s %s failed", exchange.request.method, exchange.request.path)
            if not exchange.started:
                exchange.reply(
                    500, b'{"error": {"message": "internal error", "type": "server_error", "code": 500}}'
                )
            else:
                exchange.abort()

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADERS:
            self._too_large()

    def _too_large(self) -> None:
        self._refuse(431, b"the headers are larger than %d bytes" % MAX_HEADERS)

    def _refuse(self, status: int, why: bytes) -> None:
        body = b'{"error": {"message": "%b", "type": "invalid_request_error", "code": %d}}' % (
            why.replace(b"\\", b"/").replace(b'"', b"'"),
            status,
        )
        self._answer_and_close(status, body, [(b"content-type", b"application/json")])

    def _answer_and_close(self, status: int, body: bytes, headers: Headers) -> None:
        if self._refused:
            return
        self._refused = True
        self.send(_head(status, headers, False, b"content-length: %d\r\n" % len(body)) + body)
        self.close()

    def _set_idle(self) -> None:
        self._clear_idle()
        self._idle = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.close)

    def _clear_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


class HttpServer:
    """A listening server. `refusal` answers who may not ask before a body is read. `stop` closes the door and lets answers in progress finish until a deadline."""

    def __init__(self, handler: Handler, refusal: Refusal | None = None) -> None:
        self._handler, self._refusal = handler, refusal
        self._connections: set[HttpProtocol] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int) -> int:
        """Binds and listens, on each of several addresses with commas between them; returns the port. Raises: OSError."""
        self._servers.append(server := await self._serve(host=host.split(","), port=port))
        return int(server.sockets[0].getsockname()[1])

    async def accept(self, sockets: list[socket.socket]) -> None:
        """Accepts from sockets that listen already. Raises: OSError."""
        for one in sockets:
            self._servers.append(await self._serve(sock=one))

    async def _serve(self, **where: Any) -> asyncio.Server:
        return await asyncio.get_running_loop().create_server(
            lambda: HttpProtocol(self._handler, self._connections, self._refusal), backlog=4096, **where
        )

    def refuse(self) -> None:
        """Accepts nothing more."""
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def stop(self, deadline: float) -> None:
        """Accepts nothing more, waits up to `deadline` seconds for answers in progress, then closes what is left."""
        await self.drain(deadline)
        for connection in list(self._connections):
            connection.close()

    async def drain(self, deadline: float, idle: float = 0.0) -> bool:
        """Accepts nothing more, and waits up to `deadline` seconds for answers in progress; whether all are out.

        idle: seconds in which connections without a request may send a last one.
        """
        self.refuse()
        for connection in list(self._connections):
            connection.stop(idle)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                while self._connections:
                    await asyncio.sleep(0.02)
        return not self._connections
