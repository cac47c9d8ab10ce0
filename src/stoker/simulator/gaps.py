"""Gaps between tokens, of all streams together: how often each length was, to one percent.

A simulated day has a billion of them, which nobody keeps one by one.
"""

import math
from collections import Counter

from stoker.traffic.measures import Spread

WIDTH = math.log(1.01)  # of a bin
LEAST = 1e-6


class Gaps:
    """Weights by bins of equal ratio. Sum and squares are exact."""

    __slots__ = ("_bins", "count", "most", "squares", "sum")

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self.count = 0
        self.sum = self.squares = self.most = 0.0

    def add(self, seconds: float, many: int) -> None:
        """So many gaps of that length."""
        if many <= 0:
            return
        self._bins[round(math.log(max(seconds, LEAST)) / WIDTH)] += many
        self.count += many
        self.sum += seconds * many
        self.squares += seconds * seconds * many
        if seconds > self.most:
            self.most = seconds

    def rising(self, first: float, more: float, steps: int, many: int) -> None:
        """`many` gaps each of `steps` steps, each `more` seconds longer than the one before."""
        last = first + more * (steps - 1)
        parts = min(steps, 1 + int(math.log(last / first) / WIDTH)) if last > first > 0 else 1
        done = 0
        for part in range(1, parts + 1):
            upto = steps * part // parts
            here = upto - done
            self.add(first + more * (done + upto - 1) / 2, here * many)
            done = upto
        if last > self.most:
            self.most = last

    def merge(self, other: "Gaps") -> None:
        """Those of another one too."""
        self._bins.update(other._bins)
        self.count += other.count
        self.sum += other.sum
        self.squares += other.squares
        self.most = max(self.most, other.most)

    def spread(self) -> Spread:
        """How they are spread; quantiles to one percent."""
        if not self.count:
            return Spread()
        mean = self.sum / self.count
        deviation = math.sqrt(max(0.0, self.squares / self.count - mean * mean))
        shares = (0.0, 0.5, 0.9, 0.95, 0.99)
        least, p50, p90, p95, p99 = (self._quantile(share) for share in shares)
        return Spread(self.count, mean, deviation, least, p50, p90, p95, p99, self.most)

    def _quantile(self, share: float) -> float:
        left = share * (self.count - 1)
        for place, weight in sorted(self._bins.items()):
            if left < weight:
                return min(math.exp(place * WIDTH), self.most)
            left -= weight
        return self.most
