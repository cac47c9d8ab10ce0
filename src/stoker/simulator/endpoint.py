"""The endpoint of a simulated fleet: hands requests to replicas, holds them while none is ready, sends again
what showed nothing yet.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stoker.simulator.giving_up import GivingUp
from stoker.simulator.request import Request
from stoker.simulator.summary import kept
from stoker.traffic.records import ErrorKind

if TYPE_CHECKING:
    from stoker.simulator.fleet import Fleet


class Endpoint:
    """Where requests come. counted: whether it counts those that broke an objective."""

    def __init__(self, fleet: Fleet, counted: bool) -> None:
        self._fleet, self._counted = fleet, counted
        self._held = fleet.scenario.queue_timeout > 0  # whether it holds any
        timeout = fleet.scenario.timeout
        self._giving_up = GivingUp(fleet, timeout) if timeout < math.inf else None

    def ask(self, request: Request, now: float) -> None:
        """A request comes."""
        self._fleet.requests.append(request)
        self._fleet.open += 1
        self._fleet.moved = now
        if request.prompt >= self._fleet.scenario.limits.max_model_len:
            self.failed(request, "status", now)
            return
        if self._giving_up is not None:
            self._giving_up.asked(request)
        self.hand(request, now)

    def hand(self, request: Request, now: float) -> None:
        """To a replica, or to the queue of the endpoint."""
        if not self._fleet.ready:
            self._hold(request, now)
            return
        pod = self._fleet.router.choose(self._fleet.ready, request)
        request.replica = pod.number
        request.tries += 1
        pod.running[request] = None
        engine = pod.engine
        assert engine is not None
        profile = engine.profile
        request.beside = profile.overhead + profile.api_wait * engine.running
        due = engine.due
        engine.enter(request, now)
        if engine.due != due:
            self._fleet.watch(pod)

    def _hold(self, request: Request, now: float) -> None:
        timeout = self._fleet.scenario.queue_timeout
        if timeout <= 0:
            self.failed(request, "refused", now)
            return
        self._fleet.waiting.append(request)
        self._fleet.clock.at(now + timeout, lambda then: self._held_too_long(request, then))

    def _held_too_long(self, request: Request, now: float) -> None:
        if request in self._fleet.waiting:
            self._fleet.waiting.remove(request)
            self.failed(request, "status", now)

    def failed(self, request: Request, kind: ErrorKind, now: float) -> None:
        """It ends without its answer."""
        request.failed = kind
        request.last_at = now
        self.done(request, now)

    def done(self, request: Request, now: float) -> None:
        """What its user does next."""
        self._fleet.open -= 1
        self._fleet.moved = now
        if self._counted and not kept(request, self._fleet.scenario.objectives):
            self._fleet.broken += 1
        self._fleet.clients.done(request, now)

    def lost(self, requests: list[Request], now: float) -> None:
        """A replica has ended: what showed nothing yet is sent again, the rest has failed."""
        for request in requests:
            if request.first is None and self._held and request.tries < self._fleet.scenario.tries:
                self._again(request, now)
            else:
                self.failed(request, "stream-error" if request.first is not None else "cut", now)

    def _again(self, request: Request, now: float) -> None:
        fresh = Request(
            request.index,
            request.prompt,
            request.max_tokens,
            request.due,
            session=request.session,
            turn=request.turn,
            content=request.content,
            home=request.home,
        )
        fresh.tries = request.tries
        self._fleet.requests[request.index] = fresh
        self.hand(fresh, now)
