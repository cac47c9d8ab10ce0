"""The virtual clock: what is to happen, in the order of its time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

What = Callable[[float], None]


class Clock:
    """Things to be done at their times; at the same moment, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._events: list[tuple[float, int, What]] = []
        self._order = 0

    @property
    def due(self) -> float:
        """When the next one is."""
        return self._events[0][0] if self._events else math.inf

    def at(self, when: float, what: What) -> None:
        """Does it then."""
        self._order += 1
        heapq.heappush(self._events, (when, self._order, what))

    def every(self, seconds: float, what: What, first: float = 0.0) -> None:
        """Does it again and again."""

        def again(now: float) -> None:
            what(now)
            self.at(now + seconds, again)

        self.at(first, again)

    def turn(self, now: float) -> None:
        """Does the next one."""
        heapq.heappop(self._events)[2](now)
