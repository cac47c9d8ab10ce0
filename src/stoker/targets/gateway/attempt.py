"""One sending of a request to one replica, and what becomes of its answer.

vLLM sends a stream's headers before it computes, and some streams' first events too: all of it is held back
until the first event that shows something of the answer. An answer that is no stream is held until it is
whole.
"""

import asyncio
import time
from dataclasses import dataclass, field

from stoker.engine.showing import Shows, shows
from stoker.system.descriptors import exhausted
from stoker.system.framing import Chunked
from stoker.system.http1 import Exchange
from stoker.system.upstream import Connection, Headers
from stoker.targets.gateway import answers
from stoker.targets.gateway.replicas import Replica

HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    b"transfer-encoding upgrade "
    b"http2-settings expect content-length host authorization x-api-key".split()
)
MOST_HELD = 8 << 20  # bytes of an answer; one that is larger is shown as it comes
REPLICA = b"x-stoker-replica"  # which one answered
REQUEST_ID = b"x-request-id"  # vLLM takes it into its own request's id


@dataclass(slots=True)
class Counts:
    """What the gateway counts of itself, for its own metrics. waiting: requests that wait for a replica
    now."""

    requests: dict[int, int] = field(default_factory=dict)
    resent: int = 0
    cut: int = 0
    held: int = 0
    gone: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """The client has its answer, or has left."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The replica was lost before the client saw anything."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The replica answered with an error of its own (5xx), which the client has not seen."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Crowded:
    """This gateway has no descriptor left to ask with. No replica is to blame."""

    why: str


Outcome = Shown | Lost | Refused | Crowded


def kept(headers: Headers) -> Headers:
    """The headers that pass through in either direction: none that is meant for one connection alone."""
    named = [value for name, value in headers if name == b"connection"]
    if not named or named == [b"keep-alive"]:
        return [pair for pair in headers if pair[0] not in HOP_BY_HOP]
    drop = HOP_BY_HOP.union(name.strip().lower() for value in named for name in value.split(b","))
    return [pair for pair in headers if pair[0] not in drop]


class Attempt:
    """One sending of a request to one replica; the Sink of its answer."""

    def __init__(self, exchange: Exchange, replica: Replica, extra: Headers, counts: Counts) -> None:
        self._exchange = exchange
        self.replica = replica
        self._extra = extra
        self._counts = counts
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._connection: Connection | None = None
        self._status = 0
        self._headers: Headers = []
        self._streaming = False
        self._shown = False
        self._failing = False  # the stream began with an engine's own error
        self.status = 0
        self.choked = False  # its client reads more slowly than the engine answers
        self._began = time.monotonic()
        self.first: float | None = None
        self._held: list[bytes] = []  # what came and is not shown yet
        self._size = 0
        self._partial = b""  # of a stream: an event that is not whole

    @property
    def begun(self) -> bool:
        """Whether the client has seen something of the answer."""
        return self._shown

    async def run(self, request: bytes) -> Outcome:
        """Sends it and sees it through. A kept connection that the engine had closed already is no loss."""
        outcome = await self._send(request, new=False)
        if isinstance(outcome, Lost) and self._connection is not None and self._connection.stale:
            self._outcome = asyncio.get_running_loop().create_future()
            outcome = await self._send(request, new=True)
        return outcome

    async def _send(self, request: bytes, new: bool) -> Outcome:
        try:
            self._connection = await self.replica.pool.connection(new)
        except (OSError, TimeoutError) as error:
            self._connection = None
            if exhausted(error):
                return Crowded(str(error))
            return Lost(f"no connection: {error or 'timed out'}")
        if self._exchange.gone:
            self._leave()
            return Shown()
        self.replica.running.add(self)
        self._exchange.on_gone = self._leave
        self._connection.send(request, self, self._exchange.request.content)
        try:
            return await self._outcome
        finally:
            self.replica.running.discard(self)

    def abandon(self, why: str, begun: bool = False) -> None:
        """The replica is given up: what is not shown yet is sent again elsewhere.

        begun: an answer that has begun is ended too, with an error event.
        """
        if (begun or not self._shown) and not self._outcome.done() and self._connection is not None:
            self._connection.cancel()
            self.lost(why)

    def head(self, status: int, headers: Headers) -> None:
        self._status, self._headers = status, headers
        kind = next((value for name, value in headers if name == b"content-type"), b"")
        self._streaming = status == 200 and kind.startswith(b"text/event-stream")

    def data(self, chunk: bytes) -> None:
        self.replica.last_byte = time.monotonic()
        if not self._streaming:
            self._keep_or_show(chunk)
        elif self._shown and not self._partial and chunk.endswith(b"\n\n"):
            self._exchange.write(chunk)
        else:
            self._data_in_parts(self._partial + chunk)

    def _data_in_parts(self, data: bytes) -> None:
        whole = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
        whole = whole if whole >= 4 else 0
        events, self._partial = data[:whole], data[whole:]
        if self._shown:
            self._exchange.write(events)
            return
        self._held.append(events)
        self._size += len(events)
        verdict = shows(events) if not self._failing else Shows.FAILURE
        self._failing = verdict is Shows.FAILURE
        if verdict is Shows.CONTENT or self._size + len(self._partial) > MOST_HELD:
            self._show(None)

    def _keep_or_show(self, chunk: bytes) -> None:
        """An answer that is no stream is kept until it is whole, unless it is too large for that."""
        if self._shown:
            self._exchange.write(chunk)
            return
        self._held.append(chunk)
        self._size += len(chunk)
        if self._size > MOST_HELD:
            length = next((value for name, value in self._headers if name == b"content-length"), None)
            self._show(int(length) if length is not None else None)

    def _show(self, length: int | None) -> None:
        """Starts the client's answer: from here on it is this replica's."""
        self._shown = True
        self.status, self.first = self._status, time.monotonic()
        held, self._held = b"".join(self._held), []
        exchange, connection = self._exchange, self._connection
        if connection is not None:
            exchange.on_choked, exchange.on_writable = self._choked, self._writable
            if connection.sent:
                exchange.request.content.release()
        exchange.start(self._status, self._answered(), length, held)
        if self._streaming and exchange.chunked and connection is not None:
            self._send_raw = exchange.raw()
            connection.stream(self._pass_chunks)

    def _choked(self) -> None:
        self.choked = True
        if self._connection is not None:
            self._connection.pause()

    def _writable(self) -> None:
        self.choked = False
        if self._connection is not None:
            self._connection.resume()

    def _pass_chunks(self, chunks: bytes) -> None:
        """Chunks of a shown stream, as they came: passed on as they are where they end with an event."""
        if not self._partial and chunks.endswith(b"\n\n\r\n"):
            self.replica.last_byte = time.monotonic()
            self._send_raw(chunks)
        else:
            self.data(Chunked().feed(chunks)[0])

    def complete(self, last: bytes) -> None:
        self._exchange.on_choked = self._exchange.on_writable = (
            None  # its connection is another request's by now
        )
        last = self._partial + last
        if self._shown:
            self._exchange.end(last)
            self._finish(Shown())
            return
        self.status = self._status
        body = b"".join([*self._held, last])
        if self._streaming and body and not self._failing and shows(last) is not Shows.FAILURE:
            self.first = time.monotonic()
            self._exchange.start(self._status, self._answered(), first=body)
            self._exchange.end()
        elif self._streaming or self._status >= 500:
            self._finish(Refused(self._status, self._answered(), body))
            return
        else:
            self._exchange.reply(self._status, body, self._answered())
        self._finish(Shown())

    def _answered(self) -> Headers:
        """The engine's headers and ours; the request's id is the one that we know it by."""
        theirs = [one for one in kept(self._headers) if one[0] not in (REQUEST_ID, REPLICA)]
        return [*theirs, *self._extra, (REPLICA, self.replica.id.encode())]

    def lost(self, why: str) -> None:
        if not self._shown:
            self._finish(Lost(why))
            return
        self._counts.cut += 1
        self.replica.failed(why)
        if self._streaming:
            message = f"replica {self.replica.id} was lost while it answered ({why}); the answer is not whole"
            self._exchange.write(answers.cut(message, self._exchange.request.path))
            self._exchange.end()
        else:
            self._exchange.abort()
        self._finish(Shown())

    def _leave(self) -> None:
        if not self.status and not self._size:
            self.replica.left_unanswered(self._began)
        if self._connection is not None:
            self._connection.cancel()
        self._counts.gone += 1
        self._finish(Shown())

    def _finish(self, outcome: Outcome) -> None:
        self._held.clear()
        self._exchange.on_gone = None  # the connection is another request's by now
        if not self._outcome.done():
            self._outcome.set_result(outcome)
