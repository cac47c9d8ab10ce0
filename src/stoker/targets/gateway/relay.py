"""One request on its way: to a replica, and to another if that one is lost before the client saw anything."""

import os
import re
import time
from dataclasses import dataclass, field

from stoker.fleet.balance import Balancer, prefix_keys
from stoker.system.http1 import Exchange, Request
from stoker.system.log import request_log
from stoker.system.upstream import Headers, request_bytes
from stoker.targets.gateway import answers, features
from stoker.targets.gateway.attempt import REQUEST_ID, Attempt, Counts, Crowded, Lost, Refused, Shown, kept
from stoker.targets.gateway.replicas import Replica, Replicas

MAX_LOSSES = 3  # replicas that one request may see die: a request that kills engines must not kill them all
PREFIX = 256 * 1024  # bytes of a body in which its prompt's beginning is looked for
_PLAIN = re.compile(rb"[-_.:A-Za-z0-9]{1,128}")
_DEAD = (b"EngineDeadError", b"EngineCore encountered an issue", b"EngineCore died")


@dataclass(slots=True)
class Trail:
    """What became of a request, for its line in the log."""

    began: float
    attempts: list[Attempt] = field(default_factory=list)

    def fields(self, known: bytes, exchange: Exchange) -> dict[str, object]:
        """The line: seconds to the first event and to the end, the replica that answered, how often it was
        sent."""
        last = self.attempts[-1] if self.attempts else None
        first = last.first - self.began if last is not None and last.first is not None else None
        return {
            "request_id": known.decode(),
            "method": exchange.request.method,
            "path": exchange.request.path,
            "status": last.status if last is not None else 503,
            "replica": last.replica.id if last is not None else None,
            "sent": len(self.attempts),
            "first": None if first is None else round(first, 4),
            "seconds": round(time.monotonic() - self.began, 4),
            "client_left": exchange.gone,
        }


def known_by(request: Request) -> bytes:
    """The request's id: the client's own, where it is a plain word, or a new one."""
    given = request.header(REQUEST_ID)
    return given if given is not None and _PLAIN.fullmatch(given) else os.urandom(16).hex().encode()


class Relay:
    """Sends requests to replicas until one has answered."""

    def __init__(self, replicas: Replicas, engine_key: str | None, queue_timeout: float) -> None:
        self.counts = Counts()
        self.asked: frozenset[str] = frozenset()  # what clients ask for, of `features`
        self._replicas = replicas
        self._balancer = Balancer()
        self._key = [(b"authorization", b"Bearer " + engine_key.encode())] if engine_key else []
        self._queue_timeout = queue_timeout

    async def relay(self, exchange: Exchange, extra: Headers) -> None:
        """Answers the exchange, whatever happens. `extra` are headers to add to the answer.

        A request has one id in the gateway's log, the engine's and the answer's `x-request-id`: the client's,
        if it is one.
        """
        known = known_by(exchange.request)
        trail = Trail(time.monotonic())
        await self._see_through(exchange, [*extra, (REQUEST_ID, known)], known, trail)
        if (log := request_log()) is not None:
            log.info("request", extra={"fields": trail.fields(known, exchange)})

    async def _see_through(self, exchange: Exchange, extra: Headers, known: bytes, trail: "Trail") -> None:
        beginning = exchange.request.content.take(0, PREFIX)
        self.asked |= features.asked_for(beginning, self.asked)
        keys = prefix_keys(beginning)
        refused: dict[str, Refused] = {}
        losses: list[str] = []
        deadline = time.monotonic() + self._queue_timeout
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
            deadline = time.monotonic() + self._queue_timeout
            if len(losses) >= MAX_LOSSES:
                return self._too_many(exchange, losses, extra)
        return None

    async def _died(self, replica: Replica, answer: Refused) -> bool:
        return any(sign in answer.body for sign in _DEAD) or not await replica.check()

    async def _wait(self, exchange: Exchange, deadline: float) -> None:
        self.counts.held += 1
        self.counts.waiting += 1
        exchange.on_gone = self._replicas.wake
        try:
            await self._replicas.wait(deadline - time.monotonic())
        finally:
            self.counts.waiting -= 1
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
        message = f"no replica became ready within {self._queue_timeout:g} s: {self._replicas.reason}"
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
