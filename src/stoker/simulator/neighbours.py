"""Replicas of one machine, which share its memory's bandwidth: while others compute, a step takes longer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stoker.simulator.pods import Pod

STARTING = frozenset(("Starting", "Loading", "Warming"))


class Neighbours:
    """Of a fleet on one machine. shared: the share by which each neighbour that computes, or starts, makes a
    step longer."""

    def __init__(self, shared: float) -> None:
        self._shared = shared
        self._busy: frozenset[int] = frozenset()

    def look(self, pods: Iterable[Pod], now: float) -> Iterator[Pod]:
        """Tells the engines how many compute beside them, where that has changed; those of which something
        happens at another time than was thought."""
        there = list(pods)
        busy = frozenset(one.number for one in there if _computes(one))
        if busy == self._busy:
            return
        self._busy = busy
        for pod in there:
            engine = pod.engine
            if engine is not None:
                pace = 1.0 + self._shared * (len(busy) - (pod.number in busy))
                if pace != engine.pace:
                    engine.at_pace(pace, now)
                    yield pod


def _computes(pod: Pod) -> bool:
    return pod.engine.computes if pod.engine is not None else pod.phase in STARTING
