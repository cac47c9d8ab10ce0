"""Clients that give up: who has waited too long for a whole answer leaves, and its engine lets it go."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from stoker.simulator.request import Request

if TYPE_CHECKING:
    from stoker.simulator.fleet import Fleet


class GivingUp:
    """All clients' patience, which is the same: who came first gives up first."""

    def __init__(self, fleet: Fleet, timeout: float) -> None:
        self._fleet, self._timeout = fleet, timeout
        self._asked: deque[Request] = deque()

    def asked(self, request: Request) -> None:
        """One has come."""
        self._asked.append(request)
        if len(self._asked) == 1:
            self._fleet.clock.at(request.due + self._timeout, self._look)

    def _look(self, now: float) -> None:
        asked = self._asked
        while asked:
            one = self._fleet.requests[asked[0].index]  # as it was sent last
            if one.last_at is None and one.failed is None:
                if one.due + self._timeout > now:
                    self._fleet.clock.at(one.due + self._timeout, self._look)
                    return
                self._leave(one, now)
            asked.popleft()

    def _leave(self, request: Request, now: float) -> None:
        fleet = self._fleet
        if request in fleet.waiting:
            fleet.waiting.remove(request)
        for pod in fleet.pods:
            if pod.number == request.replica and pod.running.pop(request, self) is None:
                assert pod.engine is not None
                pod.engine.leave(request, now)
                fleet.watch(pod)
        fleet.endpoint.failed(request, "timeout", now)
