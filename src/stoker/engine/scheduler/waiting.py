"""Who waits, in the order in which they are let in."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

from stoker.engine.scheduler.limits import Policy
from stoker.engine.scheduler.sequence import Sequence


class Waiting(Protocol):
    """A queue of sequences. Source: vLLM v1/core/sched/request_queue.py."""

    def __len__(self) -> int:
        """How many wait."""
        ...

    def __iter__(self) -> Iterator[Sequence]:
        """All of them, in no order."""
        ...

    def first(self) -> Sequence:
        """Who is next."""
        ...

    def pop(self) -> Sequence:
        """Takes the next."""
        ...

    def add(self, sequence: Sequence) -> None:
        """A newcomer."""
        ...

    def put_back(self, sequences: Iterable[Sequence]) -> None:
        """Those who ran or were passed over, the foremost last."""
        ...

    def remove(self, sequence: Sequence) -> None:
        """Somebody leaves."""
        ...


class Fcfs:
    """First come, first served; who comes back is served first."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._queue: deque[Sequence] = deque()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    def __iter__(self) -> Iterator[Sequence]:
        """All of them."""
        return iter(self._queue)

    def first(self) -> Sequence:
        """Who is next."""
        return self._queue[0]

    def pop(self) -> Sequence:
        """Takes the next."""
        return self._queue.popleft()

    def add(self, sequence: Sequence) -> None:
        """Behind all others."""
        self._queue.append(sequence)

    def put_back(self, sequences: Iterable[Sequence]) -> None:
        """Before all others, one after the other."""
        self._queue.extendleft(sequences)

    def remove(self, sequence: Sequence) -> None:
        """Somebody leaves."""
        self._queue.remove(sequence)


class ByPriority:
    """The smallest priority first; who comes back finds its old place."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._heap: list[tuple[tuple[int, float, str], Sequence]] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._heap)

    def __iter__(self) -> Iterator[Sequence]:
        """All of them."""
        return (sequence for _, sequence in self._heap)

    def first(self) -> Sequence:
        """Who is next."""
        return self._heap[0][1]

    def pop(self) -> Sequence:
        """Takes the next."""
        return heapq.heappop(self._heap)[1]

    def add(self, sequence: Sequence) -> None:
        """At its place."""
        heapq.heappush(self._heap, (sequence.order, sequence))

    def put_back(self, sequences: Iterable[Sequence]) -> None:
        """At their places."""
        for sequence in sequences:
            self.add(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Somebody leaves."""
        self._heap = [entry for entry in self._heap if entry[1] is not sequence]
        heapq.heapify(self._heap)


def queue(policy: Policy) -> Waiting:
    """An empty queue."""
    return Fcfs() if policy == "fcfs" else ByPriority()
