"""Connections to the engines: one request at a time each, kept and used again while the engine keeps them."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import httptools

KEEP_SECONDS = 4.0  # uvicorn closes an idle connection after 5 s
CONNECT_SECONDS = 2.0

Headers = list[tuple[bytes, bytes]]


class Sink(Protocol):
    """Who is told what an engine answers. Exactly one of `complete` and `lost` ends it."""

    def head(self, status: int, headers: Headers) -> None: ...
    def data(self, chunk: bytes) -> None: ...
    def complete(self) -> None: ...
    def lost(self, why: str) -> None: ...


class Connection(asyncio.Protocol):
    """One connection to one engine."""

    def __init__(self, release: "Callable[[Connection], None]") -> None:
        self._release = release
        self._sink: Sink | None = None
        self._headers: Headers = []
        self._reusable = False
        self.closed = False
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def send(self, request: bytes, sink: Sink) -> None:
        """Sends a whole request; its answer goes to the sink."""
        self._parser = httptools.HttpResponseParser(self)
        self._headers = []
        self._sink = sink
        self._transport.write(request)

    def cancel(self) -> None:
        """Gives the answer up: the engine sees its client leave and stops computing."""
        self._sink = None
        self.closed = True
        self._transport.abort()

    def pause(self) -> None:
        """Reads no further until `resume`: the client in front is slower than the engine."""
        if not self.closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads on."""
        if not self.closed:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self._sink is None:
            self.cancel()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"it answered something that is not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._fail(f"the connection was lost{f' ({exc})' if exc else ''}")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._sink is not None and self._parser.get_status_code() >= 200:
            self._sink.head(self._parser.get_status_code(), self._headers)

    def on_body(self, body: bytes) -> None:
        if self._sink is not None:
            self._sink.data(body)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            self._headers = []
            return
        sink, self._sink = self._sink, None
        if self._parser.should_keep_alive() and not self.closed:
            self._release(self)
        else:
            self.closed = True
            self._transport.close()
        if sink is not None:
            sink.complete()

    def _fail(self, why: str) -> None:
        sink, self._sink = self._sink, None
        if not self.closed:
            self.closed = True
            self._transport.abort()
        if sink is not None:
            sink.lost(why)


class Pool:
    """The connections to one engine."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._idle: list[Connection] = []
        self.host_header = f"{f'[{host}]' if ':' in host else host}:{port}".encode()

    async def connection(self) -> Connection:
        """An idle connection that is still good, or a new one. Raises: OSError, TimeoutError."""
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and now - connection.idle_since < KEEP_SECONDS:
                return connection
            connection.cancel()
        async with asyncio.timeout(CONNECT_SECONDS):
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._keep), *self._address
            )
        return connection

    def _keep(self, connection: Connection) -> None:
        connection.idle_since = time.monotonic()
        self._idle.append(connection)

    def close(self) -> None:
        """Closes what is idle."""
        for connection in self._idle:
            connection.cancel()
        self._idle.clear()


class Collector:
    """A Sink that gathers a whole answer, for health checks, metrics and small relays."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self._parts: list[bytes] = []
        self._done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def head(self, status: int, headers: Headers) -> None:
        self.status, self.headers = status, headers

    def data(self, chunk: bytes) -> None:
        self._parts.append(chunk)

    def complete(self) -> None:
        if not self._done.done():
            self._done.set_result(b"".join(self._parts))

    def lost(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(ConnectionError(why))

    async def body(self) -> bytes:
        """The whole body. Raises: ConnectionError."""
        return await self._done


def request_bytes(method: str, target: bytes, headers: Headers, body: bytes) -> bytes:
    """A whole HTTP/1.1 request."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    length = b"content-length: %d\r\n" % len(body) if body or method not in ("GET", "HEAD") else b""
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method.encode(), target, lines, length, body)


async def fetch(pool: Pool, target: bytes, headers: Headers, seconds: float) -> tuple[int, bytes]:
    """GETs one page: (status, body). Raises: OSError, TimeoutError."""
    async with asyncio.timeout(seconds):
        connection = await pool.connection()
        sink = Collector()
        connection.send(request_bytes("GET", target, [(b"host", pool.host_header), *headers], b""), sink)
        try:
            body = await sink.body()
            return sink.status, body
        except asyncio.CancelledError:
            connection.cancel()
            raise
