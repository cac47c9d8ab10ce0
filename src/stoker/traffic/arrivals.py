"""When requests come: gaps of a law, on a rate that may change over time; users in a loop; or a trace.

Every law has gaps of mean 1; the rate stretches them (time change of a point process), so that a ramp, steps
and a constant rate share one form. Source: Ross, Introduction to Probability Models, nonhomogeneous Poisson.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

Law = Literal["constant", "poisson", "gamma"]


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of time in which the rate goes evenly from one value to another (requests/s)."""

    seconds: float
    low: float
    high: float

    @property
    def total(self) -> float:
        """Requests that it brings on average."""
        return self.seconds * (self.low + self.high) / 2

    def when(self, count: float) -> float:
        """Seconds from its beginning until so many requests are due, on average."""
        if count <= 0:
            return 0.0
        rise = (self.high - self.low) / self.seconds
        if not rise:
            return count / self.low
        return 2 * count / (self.low + math.sqrt(max(0.0, self.low**2 + 2 * rise * count)))


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Requests come whatever becomes of those before. After the last piece its last rate goes on.

    law: `constant` gaps, `poisson` arrivals, or `gamma` gaps of shape `burstiness`: below 1 they come in
    bursts, at 1 it is Poisson's (the same figure as `vllm bench serve --burstiness`).
    """

    pieces: tuple[Piece, ...]
    law: Law = "poisson"
    burstiness: float = 1.0

    @property
    def peak(self) -> float:
        """The highest rate, in requests/s."""
        return max(max(piece.low, piece.high) for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """So many users; each sends, waits for the answer, thinks, and sends again. Their first requests come
    evenly over `spawn` seconds."""

    users: int
    think_time: float = 0.0
    spawn: float = 0.0


@dataclass(frozen=True, slots=True)
class Replay:
    """Requests at recorded times; a `speed` of 2 halves all gaps."""

    speed: float = 1.0


Arrivals = OpenLoop | ClosedLoop | Replay


def steady(rate: float, law: Law = "poisson", burstiness: float = 1.0) -> OpenLoop:
    """Arrivals at one rate (requests/s)."""
    return OpenLoop((Piece(math.inf, rate, rate),), law, burstiness)


def times(arrivals: OpenLoop, random: Random) -> Iterator[float]:
    """Seconds from the start at which requests are due, without end.

    The first comes after the first gap, as in a queue that has been open before. Constant gaps begin at 0.
    """
    due = -1.0 if arrivals.law == "constant" else 0.0
    began, before = 0.0, 0.0
    pieces = iter(arrivals.pieces)
    piece = next(pieces)
    while True:
        due += _gap(arrivals, random)
        while due - before >= piece.total:
            following = next(pieces, None)
            if following is None:
                began, before = began + piece.seconds, before + piece.total
                piece = Piece(math.inf, piece.high, piece.high)
                break
            began, before, piece = began + piece.seconds, before + piece.total, following
        if piece.seconds == math.inf and not piece.low:
            return
        yield began + ((due - before) / piece.low if piece.seconds == math.inf else piece.when(due - before))


def _gap(arrivals: OpenLoop, random: Random) -> float:
    if arrivals.law == "constant":
        return 1.0
    if arrivals.law == "poisson":
        return random.expovariate(1.0)
    return random.gammavariate(arrivals.burstiness, 1 / arrivals.burstiness)
