"""Connections to the engines: one request at a time each, kept and used again while the engine keeps them."""

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Protocol

from stoker.system.bodies import Body
from stoker.system.framing import BodyReader, body_reader, whole_chunks
from stoker.system.wire import UNTIL_CLOSE, Answer, Headers, Malformed, answer_head, split_head

__all__ = ["Connection", "Headers", "Sink", "request_bytes"]

KEEP_SECONDS = 4.0  # uvicorn closes an idle connection after 5 s
CONNECT_SECONDS = 2.0
LATE_SECONDS = 0.25
PIECE = 256 * 1024  # of a large body, sent at a time
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux alone has it


def late(began: float, seconds: float) -> bool:
    """Whether a timeout came so late that this process itself had no time to look: the peer is not to
    blame."""
    return time.monotonic() - began > seconds + LATE_SECONDS


class Sink(Protocol):
    """Who is told what an engine answers. Exactly one of `complete`, with the last of it, and `lost` ends
    it."""

    def head(self, status: int, headers: Headers) -> None: ...
    def data(self, chunk: bytes) -> None: ...
    def complete(self, last: bytes) -> None: ...
    def lost(self, why: str) -> None: ...


class Connection(asyncio.Protocol):
    """One connection to one engine.

    After `stream`, whole chunks are passed on as they came, size lines and all, in place of the sink's
    `data`.
    """

    def __init__(self, release: "Callable[[Connection], None]") -> None:
        self._release = release
        self._sink: Sink | None = None
        self._answer: Answer | None = None
        self._reader: BodyReader | None = None
        self._buffer = b""
        self._body: Body | None = None
        self._sent = 0
        self._choked = False
        self.pass_chunks: Callable[[bytes], None] | None = None
        self.closed = False
        self.idle_since = 0.0
        self.used_before = False
        self.stale = False  # it was used before, and lost without a word: the engine had closed it already

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]

    def send(self, request: bytes, sink: Sink, body: Body | None = None) -> None:
        """Sends a request; its answer goes to the sink. A body goes in pieces, as fast as the engine reads
        it."""
        self._sink, self._answer, self._reader, self.pass_chunks = sink, None, None, None
        self._buffer = b""
        if body is None or not body.size:
            self._transport.write(request)
            return
        piece = body.take(0, PIECE)
        self._transport.write(request + piece)
        self._sent = len(piece)
        if self._sent < body.size:
            self._body = body
            self._send_on()

    def _send_on(self) -> None:
        while self._body is not None and not self._choked and not self.closed:
            piece = self._body.take(self._sent, PIECE)
            self._sent += len(piece)
            if not piece or self._sent >= self._body.size:
                self._body = None
            self._transport.write(piece)

    @property
    def sent(self) -> bool:
        """Whether the whole request is out."""
        return self._body is None

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        self._send_on()

    def cancel(self) -> None:
        """Gives the answer up: the engine sees its client leave and stops computing."""
        self._sink = self._body = self.pass_chunks = None
        self.closed = True
        self._transport.abort()

    def stream(self, pass_chunks: Callable[[bytes], None]) -> None:
        """From here on whole chunks go to `pass_chunks`, and what is read needs no acknowledgement of its
        own.

        Linux answers each small packet of a one-way stream with a packet, at 17 % of the CPU time that
        passing it on takes; told that there is no hurry, it answers every second one. The engine waits for
        none (TCP_NODELAY).
        """
        self.pass_chunks = pass_chunks
        if _QUICKACK is not None and (own := self._transport.get_extra_info("socket")) is not None:
            own.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 0)

    def pause(self) -> None:
        """Reads no further until `resume`: the client in front is slower than the engine."""
        if not self.closed:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Reads on."""
        if not self.closed:
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        if self.pass_chunks is not None and self._reader.fresh and whole_chunks(data):  # type: ignore[union-attr]
            self.pass_chunks(data)
        elif self._sink is None:
            self.cancel()
        else:
            try:
                self._read(data)
            except Malformed as error:
                self._fail(f"it answered something that is not HTTP: {error.why}")

    def _read(self, data: bytes) -> None:
        rest: bytes | None = data
        while rest is not None and self._sink is not None:
            if self._reader is None:
                rest = self._read_head(rest)
                continue
            mine, rest = self._reader.feed(rest)
            if rest is not None:
                self._finish(mine, rest)
                return
            if mine:
                self._sink.data(mine)

    def _read_head(self, data: bytes) -> bytes | None:
        """Takes the answer's head; what follows it, or None while it is not whole."""
        data = self._buffer + data
        parts = split_head(data)
        if parts is None:
            self._buffer = data
            return None
        self._buffer = b""
        answer = answer_head(parts[0], parts[1])
        if answer.status == 101:
            raise Malformed(502, "it changes the protocol, unasked")
        if answer.status >= 200 and self._sink is not None:
            self._answer, self._reader = answer, body_reader(answer.length)
            self._sink.head(answer.status, answer.headers)
        return data[parts[2] :]

    def _finish(self, last: bytes, rest: bytes) -> None:
        """The answer is whole. The connection is used again where nothing is left on it, in either
        direction."""
        sink, self._sink, self.pass_chunks = self._sink, None, None
        again = self._answer is not None and self._answer.keep_alive and not rest and self._body is None
        self._answer, self._reader, self._body = None, None, None
        if again and not self.closed:
            self._release(self)
        else:
            self.closed = True
            self._transport.close()
        if sink is not None:
            sink.complete(last)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if exc is None and self._answer is not None and self._answer.length == UNTIL_CLOSE:
            self._finish(b"", b"")  # the end of the connection is the end of this answer
        self._fail(f"the connection was lost{f' ({exc})' if exc else ''}")

    def _fail(self, why: str) -> None:
        sink, self._sink, self.pass_chunks, self._body = self._sink, None, None, None
        self.stale = self.used_before and self._answer is None and not self._buffer
        if not self.closed:
            self.closed = True
            self._transport.abort()
        if sink is not None:
            sink.lost(why)


def request_bytes(
    method: str, target: bytes, headers: Headers, body: bytes = b"", length: int | None = None
) -> bytes:
    """A whole HTTP/1.1 request; with a `length`, the head of one whose body of that length follows."""
    lines = b"".join([b"%b: %b\r\n" % pair for pair in headers])
    size = len(body) if length is None else length
    counted = b"content-length: %d\r\n" % size if size or method not in ("GET", "HEAD") else b""
    return b"%b %b HTTP/1.1\r\n%b%b\r\n%b" % (method.encode(), target, lines, counted, body)
