"""One request on its way: to a replica, and to another if that one is lost before the client saw anything.

vLLM sends a stream's headers before it computes, and some streams' first events too: all of it is held back until the
first event that shows something of the answer. An answer that is no stream is held until it is whole.
"""

import asyncio
import os
import re
import time
from dataclasses import dataclass, field

from stoker.engine.showing import Shows, shows
from stoker.system.descriptors import exhausted
from stoker.system.http1 import Exchange, Request
from stoker.system.log import request_log
from stoker.system.upstream import Connection, Headers, request_bytes
from stoker.targets.gateway import answers
from stoker.targets.gateway.balance import Balancer, prefix_keys
from stoker.targets.gateway.replicas import Replica, Replicas

MAX_LOSSES = 3  # replicas that one request may see die: a request that kills engines must not kill them all
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade "
    b"http2-settings expect content-length host authorization x-api-key".split()
)
MOST_HELD = 8 << 20  # bytes of an answer; one that is larger is shown as it comes
PREFIX = 256 * 1024  # bytes of a body in which its prompt's beginning is looked for
REQUEST_ID = b"x-request-id"  # vLLM takes it into its own request's id
_PLAIN = re.compile(rb"[-_.:A-Za-z0-9]{1,128}")
_DEAD = (b"EngineDeadError", b"EngineCore encountered an issue", b"EngineCore died")


@dataclass(slots=True)
class Counts:
    """What the gateway counts of itself, for its own metrics."""

    requests: dict[int, int] = field(default_factory=dict)
    resent: int = 0
    cut: int = 0
    held: int = 0
    gone: int = 0


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
        self.first: float | None = None
        self._held: list[bytes] = []  # what came and is not shown yet
        self._size = 0
        self._partial = b""  # of a stream: an event that is not whole

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
        self.replica.running.add(self.abandon)
        self._exchange.on_gone = self._leave
        self._connection.send(request, self, self._exchange.request.content)
        try:
            return await self._outcome
        finally:
            self.replica.running.discard(self.abandon)

    def abandon(self, why: str) -> None:
        """The replica is given up (it hangs): what is not shown yet is sent again elsewhere."""
        if not self._shown and not self._outcome.done() and self._connection is not None:
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
            self._write(chunk)
        else:
            self._data_in_parts(self._partial + chunk)

    def _data_in_parts(self, data: bytes) -> None:
        whole = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
        whole = whole if whole >= 4 else 0
        events, self._partial = data[:whole], data[whole:]
        if self._shown:
            self._write(events)
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
            self._write(chunk)
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
        self._exchange.start(self._status, self._answered(), length)
        held, self._held = b"".join(self._held), []
        self._write(held)
        if self._connection is None:
            return
        if self._connection.sent:
            self._exchange.request.content.release()
        if self._streaming and self._exchange.chunked:
            self._connection.pass_chunk = self._pass_chunk

    def _pass_chunk(self, chunk: bytes) -> None:
        """A chunk of a shown stream, as it came: passed on as it is where it ends with an event."""
        if self._partial or not chunk.endswith(b"\n\n\r\n"):
            self.data(chunk[chunk.index(b"\r\n") + 2 : -2])
            return
        self.replica.last_byte = time.monotonic()
        self._exchange.write_chunk(chunk)
        if self._exchange.choked:
            self._pause()

    def _write(self, data: bytes) -> None:
        self._exchange.write(data)
        if self._exchange.choked:
            self._pause()

    def _pause(self) -> None:
        if self._connection is not None:
            self._connection.pause()
            self._exchange.on_writable = self._connection.resume

    def complete(self) -> None:
        if self._streaming and not self._shown and self._size and not self._failing:
            self._show(None)
        if self._shown:
            self._exchange.write(self._partial)
            self._exchange.end()
            self._finish(Shown())
            return
        self.status = self._status
        answer = Refused(self._status, self._answered(), b"".join(self._held) + self._partial)
        if self._status >= 500 or self._streaming:
            self._finish(answer)
        else:
            self._exchange.reply(self._status, answer.body, answer.headers)
            self._finish(Shown())

    def _answered(self) -> Headers:
        """The engine's headers and ours; the request's id is the one that we know it by."""
        return [one for one in kept(self._headers) if one[0] != REQUEST_ID] + self._extra

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
        if self._connection is not None:
            self._connection.cancel()
        self._counts.gone += 1
        self._finish(Shown())

    def _finish(self, outcome: Outcome) -> None:
        self._held.clear()
        if not self._outcome.done():
            self._outcome.set_result(outcome)


@dataclass(slots=True)
class Trail:
    """What became of a request, for its line in the log."""

    began: float
    attempts: list[Attempt] = field(default_factory=list)

    def fields(self, known: bytes, exchange: Exchange) -> dict[str, object]:
        """The line: seconds to the first event and to the end, the replica that answered, how often it was sent."""
        last = self.attempts[-1] if self.attempts else None
        first = last.first - self.began if last is not None and last.first is not None else None
        return {
            "request_id": known.decode(), "method": exchange.request.method, "path": exchange.request.path,
            "status": last.status if last is not None else 503, "replica": last.replica.id if last is not None else None,
            "sent": len(self.attempts), "first": None if first is None else round(first, 4),
            "seconds": round(time.monotonic() - self.began, 4), "client_left": exchange.gone,
        }  # fmt: skip


def known_by(request: Request) -> bytes:
    """The request's id: the client's own, where it is a plain word, or a new one."""
    given = request.header(REQUEST_ID)
    return given if given is not None and _PLAIN.fullmatch(given) else os.urandom(16).hex().encode()


class Relay:
    """Sends requests to replicas until one has answered."""

    def __init__(self, replicas: Replicas, engine_key: str | None, hold: float) -> None:
        self.counts = Counts()
        self._replicas = replicas
        self._balancer = Balancer()
        self._key = [(b"authorization", b"Bearer " + engine_key.encode())] if engine_key else []
        self._hold = hold

    async def relay(self, exchange: Exchange, extra: Headers) -> None:
        """Answers the exchange, whatever happens. `extra` are headers to add to the answer.

        A request has one id in the gateway's log, the engine's and the answer's `x-request-id`: the client's, if it is one.
        """
        known = known_by(exchange.request)
        trail = Trail(time.monotonic())
        await self._see_through(exchange, [*extra, (REQUEST_ID, known)], known, trail)
        if (log := request_log()) is not None:
            log.info("request", extra={"fields": trail.fields(known, exchange)})

    async def _see_through(self, exchange: Exchange, extra: Headers, known: bytes, trail: "Trail") -> None:
        keys = prefix_keys(exchange.request.content.take(0, PREFIX))
        refused: dict[str, Refused] = {}
        losses: list[str] = []
        deadline = time.monotonic() + self._hold
        while not exchange.gone:
            ready = [replica for replica in self._replicas.ready() if replica.id not in refused]
            if not ready:
                if refused:
                    return self._give(exchange, next(reversed(refused.values())))
                if self._replicas.stopping or time.monotonic() >= deadline:
                    return self._none_ready(exchange, extra)
                await self._wait(exchange, deadline)
                continue
            replica = self._balancer.choose(ready, keys)
            attempt = Attempt(exchange, replica, extra, self.counts)
            outcome = await attempt.run(self._bytes(replica, exchange, known))
            trail.attempts.append(attempt)
            if isinstance(outcome, Refused) and await self._died(replica, outcome):
                outcome = Lost("its engine died")
            if isinstance(outcome, Shown):
                return None
            if isinstance(outcome, Crowded):
                return self._crowded(exchange, outcome.why, extra)
            self.counts.resent += 1
            if isinstance(outcome, Refused):
                refused[replica.id] = outcome
                continue
            replica.failed(outcome.why)
            losses.append(outcome.why)
            deadline = time.monotonic() + self._hold
            if len(losses) >= MAX_LOSSES:
                return self._too_many(exchange, losses, extra)
        return None

    async def _died(self, replica: Replica, answer: Refused) -> bool:
        return any(sign in answer.body for sign in _DEAD) or not await replica.check()

    async def _wait(self, exchange: Exchange, deadline: float) -> None:
        self.counts.held += 1
        exchange.on_gone = self._replicas.wake
        await self._replicas.wait(deadline - time.monotonic())
        exchange.on_gone = None

    def _bytes(self, replica: Replica, exchange: Exchange, known: bytes) -> bytes:
        request = exchange.request
        target = request.path.encode("latin-1") + (b"?" + request.query if request.query else b"")
        mine = [one for one in kept(request.headers) if one[0] != REQUEST_ID]
        headers = [(b"host", replica.pool.host_header), *self._key, *mine, (REQUEST_ID, known)]
        return request_bytes(request.method, target, headers, length=request.content.size)

    def _give(self, exchange: Exchange, answer: Refused) -> None:
        exchange.reply(answer.status, answer.body, answer.headers)

    def _none_ready(self, exchange: Exchange, extra: Headers) -> None:
        message = f"no replica became ready within {self._hold:g} s: {self._replicas.reason}"
        if self._replicas.stopping:
            message = "the fleet is being stopped"
        headers = [*answers.JSON, (b"retry-after", b"5"), *extra]
        exchange.reply(503, answers.error(503, message, exchange.request.path), headers)

    def _crowded(self, exchange: Exchange, why: str, extra: Headers) -> None:
        message = f"the endpoint has no connection left to ask a replica with: {why}"
        headers = [*answers.JSON, (b"retry-after", b"1"), *extra]
        exchange.reply(503, answers.error(503, message, exchange.request.path), headers)

    def _too_many(self, exchange: Exchange, losses: list[str], extra: Headers) -> None:
        message = f"{len(losses)} replicas were lost while they ran this request: {losses[-1]}"
        exchange.reply(502, answers.error(502, message, exchange.request.path), [*answers.JSON, *extra])
