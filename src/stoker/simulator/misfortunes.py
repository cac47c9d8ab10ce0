"""What befalls a simulated fleet: replicas that die, and a searcher who has seen enough."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stoker.simulator.fleet import Fleet

CHECKED = 10.0  # seconds from one look to the next whether it is to be given up


class Misfortunes:
    """Engines that die, at given times and at random."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._failures = fleet.scenario.failures

    def begin(self) -> None:
        """From now on."""
        for when in self._failures.at:
            self._fleet.clock.at(when, self._fail_one)
        if self._failures.every:
            self._next(0.0)

    def _next(self, now: float) -> None:
        every = self._failures.every
        assert every is not None
        mean = every / max(1, len(self._fleet.pods))

        def fail(then: float) -> None:
            self._fail_one(then)
            self._next(then)

        self._fleet.clock.at(now + self._fleet.random.expovariate(1 / mean), fail)

    def _fail_one(self, now: float) -> None:
        ready = self._fleet.ready
        if ready:
            self._fleet.fail(self._fleet.random.choice(ready), now)


class Patience:
    """Stops a fleet where more than `enough` requests have broken an objective, or will."""

    def __init__(self, fleet: Fleet, enough: float) -> None:
        self._fleet, self._enough = fleet, enough

    def look(self, now: float) -> None:
        """Whether it has gone wrong by now."""
        fleet = self._fleet
        bounds = fleet.scenario.objectives
        late = bounds.ttft if bounds.ttft is not None else bounds.e2e
        overdue = 0
        if late is not None:
            held = [*fleet.waiting, *(one for pod in fleet.pods for one in pod.running)]
            overdue = sum(one.first is None and one.due + late < now for one in held)
        fleet.given_up = fleet.broken + overdue > self._enough
