"""One client's connection: reads its requests, one at a time and in order, and hands each to the handler."""

import asyncio
import math
from collections.abc import Callable

from stoker.system import descriptors, wire
from stoker.system.bodies import Body
from stoker.system.exchange import CONTINUE, Exchange, Request, head
from stoker.system.framing import BodyReader, body_reader
from stoker.system.probe import Probe
from stoker.system.terms import Server
from stoker.system.wire import Head, Headers, Malformed

IDLE_SECONDS = 75.0  # between requests, for a whole head, and for each SLOWEST bytes of a body
SLOWEST = 64 * 1024
CHOKED_SECONDS = 300.0  # who reads nothing of his answer for so long has left
LINGER_SECONDS = 30.0  # after a refusal, what still comes is read and dropped for so long
SILENT_SECONDS = 2.0  # or until nothing came for so long
READ_AHEAD = 64 * 1024  # of the next requests, while one is answered
_JSON = (b"content-type", b"application/json")


class HttpProtocol(asyncio.Protocol):
    """One client's connection. `due` is when it is closed, or timed out, unless something comes."""

    def __init__(self, server: Server["HttpProtocol"]) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._buffer = b""  # what came and is not read yet
        self._request: Request | None = None  # the one whose body comes
        self._reader: BodyReader | None = None  # of that body
        self._looked = 0  # bytes of a head that is not all here
        self._counted = 0  # bytes of the body when its time was last looked at
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._probe: Probe | None = None
        self._refused = self._pumping = self._paused = self._ended = False
        self._last_idle = 0.0  # seconds for a last request, once the server stops
        self.closed = self.stopping = False
        self.due = self._linger_end = math.inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.send_raw: Callable[[bytes], None] = self._transport.write
        self._server.connections.add(self)
        if self._server.crowded():
            self._refuse(Malformed(503, "no more connections can be taken now"))
        else:
            self._wait(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._server.connections.discard(self)
        if self._probe is not None:
            self._probe.cancel()
        exchange, self._current = self._current, None
        if exchange is not None:
            if exchange.on_gone is not None:
                exchange.on_gone()
            exchange.on_gone = exchange.on_choked = exchange.on_writable = None
            exchange.request.content.release()
        self._forget()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._wait(SILENT_SECONDS)
            return
        if self._reader is None or self._request is None:
            self._buffer = self._buffer + data if self._buffer else data
            self._pump()
            return
        try:
            self._read_body(data, self._reader, self._request)
        except Malformed as error:
            self._refuse(error)
        if self._buffer:
            self._pump()

    def eof_received(self) -> bool:
        """The client sends no more. True, if it may still read."""
        self._ended = True
        if self._refused or not self._server.terms.half_closed:
            return False
        if self._current is not None:
            self._probe = Probe(self._current)
            return True
        if self._reader is not None or self._buffer:
            self._refuse(Malformed(400, "the request ended before it was whole"))
            return True
        return False

    def pause_writing(self) -> None:
        if self._current is not None:
            self._wait(CHOKED_SECONDS)
            if self._current.on_choked is not None:
                self._current.on_choked()

    def resume_writing(self) -> None:
        if self._current is not None:
            self.due = math.inf
            if self._current.on_writable is not None:
                self._current.on_writable()

    def _pump(self) -> None:
        """Reads requests while none is being answered: a loop, so that nothing recurses."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._buffer and self._current is None and not self._refused and not self.closed:
                if not self._read_head():
                    break
        except Malformed as error:
            self._refuse(error)
        finally:
            self._pumping = False
        self._pace()

    def _pace(self) -> None:
        """No more is read ahead than a few requests."""
        much = len(self._buffer) > READ_AHEAD and self._current is not None
        if much != self._paused and not self.closed and not self._ended:
            self._paused = much
            (self._transport.pause_reading if much else self._transport.resume_reading)()

    def _read_head(self) -> bool:
        """Reads the next request's head, and what is here of its body. False while it is not all here."""
        self._buffer = data = wire.without_empty_lines(self._buffer)
        if not data or data == b"\r" or (parts := wire.split_head(data, self._looked)) is None:
            if len(data) > 1:
                wire.begins_well(data)
            if not self._looked:
                self._wait(IDLE_SECONDS)
            self._looked = len(data)
            return False
        line, block, begin = parts
        self._looked = 0
        self._buffer = data[begin:]
        self._begin(wire.request_head(line, block))
        return True

    def _begin(self, begun: Head) -> None:
        """A head is here. Who may not ask, or asks with too much, is told before a body is read."""
        request = Request(begun, Body(self._server.store))
        if self._server.refusal is not None and (answer := self._server.refusal(request)) is not None:
            self._say_no(begun, request, *answer)
        elif begun.length:
            self._expect(begun, request)
        else:
            self._start(request)

    def _expect(self, begun: Head, request: Request) -> None:
        self._request = request
        self._check(begun.length)
        self._reader = body_reader(begun.length)
        self._counted = 0
        self._wait(IDLE_SECONDS)
        if self._buffer:
            data, self._buffer = self._buffer, b""
            self._read_body(data, self._reader, request)
        elif begun.expects:
            self.send(CONTINUE)

    def _read_body(self, data: bytes, reader: BodyReader, request: Request) -> None:
        mine, rest = reader.feed(data)
        if mine:
            body = request.content
            self._check(body.size + len(mine))
            if self._server.store.full(body, len(mine)):
                raise Malformed(503, "too many large bodies are on their way now")
            body.add(mine)
        if rest is not None:
            self._request = self._reader = None
            self._buffer = rest
            self._start(request)

    def _check(self, size: int) -> None:
        most = self._server.terms.max_body
        if size > most:
            raise Malformed(413, f"the body is larger than {most} bytes (endpoint.max_body)")

    def _start(self, request: Request) -> None:
        self.due = math.inf
        self._current = Exchange(self, request)
        if self._ended:
            self._probe = Probe(self._current)
        self._task = self._loop.create_task(self._server.run(self._current))

    def send(self, data: bytes) -> None:
        """Writes to the client, unless it has left."""
        if not self.closed:
            self._transport.write(data)

    def finished(self, exchange: Exchange) -> None:
        """The answer is out: the next request of this connection, or its end."""
        if exchange is not self._current:
            return
        exchange.on_gone = exchange.on_choked = exchange.on_writable = None
        exchange.request.content.release()
        self._current = None
        last = self.stopping and not self._last_idle
        if exchange.keep_alive and not last and (self._buffer or not self._ended):
            self._wait(self._last_idle if self.stopping else IDLE_SECONDS)
            self._pump()
        elif self._buffer:
            self._linger()  # what the client sent too much must not reset what it is to read
        else:
            self.close()

    def close(self) -> None:
        """Closes the connection after what was written."""
        if not self.closed:
            self._linger_end = math.inf
            self._wait(CHOKED_SECONDS)
            self._transport.close()

    def abort(self) -> None:
        """Closes the connection at once, what was written or not."""
        if not self.closed:
            self._transport.abort()

    def stop(self, idle: float = 0.0) -> None:
        """This request is the last one, one on its way too; a connection without any has `idle` seconds to
        send one."""
        self.stopping, self._last_idle = True, idle
        if self._refused or (self._current is None and self._reader is None and not self._buffer):
            if idle:
                self._wait(idle)
            else:
                self.close()

    def overdue(self, now: float) -> None:
        """What was due did not come: told to who is in the middle of a request, the end for who is not."""
        if now < self.due or self._went_on():
            return
        if self._current is not None or self._transport.is_closing():
            self.abort()
        elif not self._refused and (self._reader is not None or self._buffer):
            self._refuse(Malformed(408, "the request did not come in time"))
        else:
            self.close()

    def _went_on(self) -> bool:
        """Whether enough of a body came, or some of an answer went, since this was last asked."""
        before = self._counted
        if self._request is not None:
            self._counted = self._request.content.size
            seconds, went_on = IDLE_SECONDS, self._counted - before >= SLOWEST
        else:
            self._counted = self._transport.get_write_buffer_size()
            seconds, went_on = CHOKED_SECONDS, self._counted not in (0, before)
        if went_on:
            self._wait(seconds)
        return went_on

    def _say_no(self, begun: Head, request: Request, status: int, body: bytes, headers: Headers) -> None:
        """Answers who may not ask. With a body on its way, that is the end of the connection."""
        if begun.length:
            self._last_error(status, body, headers)
        else:
            self._current = Exchange(self, request)
            self._current.reply(status, body, headers)

    def _refuse(self, error: Malformed) -> None:
        extra = [(b"retry-after", b"1")] if error.status == 503 else []
        path = self._request.path if self._request is not None else ""
        body = self._server.terms.form(error.status, error.why, path)
        self._last_error(error.status, body, [_JSON, *extra])

    def _last_error(self, status: int, body: bytes, headers: Headers) -> None:
        """Answers, and ends the connection: what still comes is dropped, so that no reset eats the answer."""
        if not self._refused:
            self.send(head(status, headers, b"content-length: %d\r\n" % len(body), False) + body)
            self._linger()

    def _linger(self) -> None:
        self._refused = True
        self._forget()
        if self._ended or self.closed or self._server.crowded(over=descriptors.RESERVED // 2):
            self.close()
            return
        self._linger_end = self._loop.time() + LINGER_SECONDS
        self._wait(SILENT_SECONDS)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _forget(self) -> None:
        """Nothing more is read: what is here of a request goes."""
        self._buffer = b""
        self._reader = None
        if self._request is not None:
            self._request.content.release()
            self._request = None

    def _wait(self, seconds: float) -> None:
        self.due = min(self._linger_end, self._loop.time() + seconds)
