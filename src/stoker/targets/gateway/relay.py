"""One request on its way: to a replica, and to another if that one is lost before the client saw anything.

vLLM sends a stream's headers before it computes, so a stream's headers are held back until its first event.
"""

import asyncio
import os
import re
import time
from dataclasses import dataclass, field

from stoker.system.http1 import Exchange, Request
from stoker.system.log import request_log
from stoker.system.upstream import Connection, Headers, request_bytes
from stoker.targets.gateway import answers, features
from stoker.targets.gateway.balance import Balancer, prefix_keys
from stoker.targets.gateway.replicas import Replica, Replicas

MAX_LOSSES = 3  # replicas that one request may see die: a request that kills engines must not kill them all
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade expect "
    b"content-length host authorization x-api-key".split()
)
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


Outcome = Shown | Lost | Refused


def kept(headers: Headers) -> Headers:
    """The headers that pass through in either direction."""
    return [(name, value) for name, value in headers if name not in HOP_BY_HOP]


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
        self.status = 0
        self.first: float | None = None
        self._held = (
            b""  # what came and is not shown yet: all of it before the first event, then half an event
        )
        self._parts: list[bytes] = []

    async def run(self, request: bytes) -> Outcome:
        """Sends it and sees it through."""
        try:
            self._connection = await self.replica.pool.connection()
        except (OSError, TimeoutError) as error:
            return Lost(f"no connection: {error or 'timed out'}")
        if self._exchange.gone:
            self._leave()
            return Shown()
        self.replica.running.add(self.abandon)
        self._exchange.on_gone = self._leave
        self._connection.send(request, self)
        try:
            return await self._outcome
        finally:
            self.replica.running.discard(self.abandon)

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
            self._parts.append(chunk)
        elif self._shown and not self._held and chunk.endswith(b"\n\n"):
            self._write(chunk)
        else:
            self._data_in_parts(self._held + chunk)

    def _data_in_parts(self, data: bytes) -> None:
        whole = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
        self._held = data
        if whole < 4 or (not self._shown and not self._show(data[:whole])):
            return
        self._held = data[whole:]
        self._write(data[:whole])

    def _show(self, events: bytes) -> bool:
        """Starts the client's answer at the first real event; comments and a dead engine's error are held."""
        if events.startswith(b":") and not any(line.startswith(b"data:") for line in events.split(b"\n")):
            return False
        if events.startswith(b'data: {"error"') and (b'"code": 5' in events or b'"code":5' in events):
            return False
        self._shown = True
        self.status, self.first = 200, time.monotonic()
        self._exchange.start(200, self._answered())
        return True

    def _write(self, data: bytes) -> None:
        self._exchange.write(data)
        if self._exchange.choked and self._connection is not None:
            self._connection.pause()
            self._exchange.on_writable = self._connection.resume

    def complete(self) -> None:
        if self._streaming and self._shown:
            self._exchange.write(self._held)
            self._exchange.end()
            self._finish(Shown())
            return
        body = self._held if self._streaming else b"".join(self._parts)
        answer = Refused(self._status, self._answered(), body)
        self.status = self._status
        if self._status >= 500 or self._streaming:
            self._finish(answer)
        else:
            self._exchange.reply(self._status, body, answer.headers)
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
        message = f"replica {self.replica.id} was lost while it answered ({why}); the answer is not whole"
        self._exchange.write(answers.cut(message, self._exchange.request.path))
        self._exchange.end()
        self._finish(Shown())

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.cancel()
        self._counts.gone += 1
        self._finish(Shown())

    def _finish(self, outcome: Outcome) -> None:
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
        self.asked: frozenset[str] = frozenset()
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
        self.asked |= features.asked_for(exchange.request.body, self.asked)
        keys = prefix_keys(exchange.request.body)
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
        return request_bytes(request.method, target, headers, request.body)

    def _give(self, exchange: Exchange, answer: Refused) -> None:
        exchange.reply(answer.status, answer.body, answer.headers)

    def _none_ready(self, exchange: Exchange, extra: Headers) -> None:
        message = f"no replica became ready within {self._hold:g} s: {self._replicas.reason}"
        if self._replicas.stopping:
            message = "the fleet is being stopped"
        headers = [*answers.JSON, (b"retry-after", b"5"), *extra]
        exchange.reply(503, answers.error(503, message, exchange.request.path), headers)

    def _too_many(self, exchange: Exchange, losses: list[str], extra: Headers) -> None:
        message = f"{len(losses)} replicas were lost while they ran this request: {losses[-1]}"
        exchange.reply(502, answers.error(502, message, exchange.request.path), [*answers.JSON, *extra])
