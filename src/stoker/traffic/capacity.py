"""Capacity: the highest level of load (a rate, or a number of users) at which the objectives are kept.

Levels are tried by doubling and then by halving the gap, as in a search for a zero. The interval comes from
a bootstrap over batches of time, since requests that are close in time fare alike; attainment is made
monotone by pooling adjacent violators (isotonic regression).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from stoker.traffic.measures import Summary
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.records import RequestRecord

BATCHES = 10  # of a step's window
RESAMPLES = 400
Z = 1.96  # of a 95 % interval
KEEPS_UP = 0.95  # of what is due that is completed by a server that is not saturated
MOST_STEPS = 24
USERS_FACTOR = 4.0
Batch = tuple[int, int]  # requests that kept the objectives, of how many


@dataclass(frozen=True, slots=True)
class LoadStep:
    """What one level of load has shown. batches: of equal time. completed: answers a second; output_rate:
    tokens a second; ttft, itl: p99 in seconds. limits: what was broken, most often first. running, waiting:
    requests in one engine, the mean, where the engines told it."""

    level: float
    batches: tuple[Batch, ...]
    keeps_up: bool = True
    completed: float = 0.0
    output_rate: float = 0.0
    ttft: float = 0.0
    itl: float = 0.0
    limits: tuple[str, ...] = ()
    folder: str = ""
    believable: bool = True
    running: float | None = None
    waiting: float | None = None

    @property
    def requests(self) -> int:
        """How many were measured."""
        return sum(count for _, count in self.batches)

    @property
    def attainment(self) -> float:
        """The share of requests that kept the objectives; 0 of none."""
        return sum(kept for kept, _ in self.batches) / self.requests if self.requests else 0.0

    def interval(self) -> tuple[float, float]:
        """Where its attainment lies, at 95 %: Wilson's interval, of as many requests as are independent."""
        return wilson(self.attainment, self.requests / self._inflation())

    def _inflation(self) -> float:
        """How much more batches differ than independent requests would: the design effect, 1 at least."""
        share, counted = self.attainment, [batch for batch in self.batches if batch[1]]
        if len(counted) < 3 or not 0 < share < 1:
            return 1.0
        between = sum((kept - share * count) ** 2 / count for kept, count in counted) / (len(counted) - 1)
        return max(1.0, between / (share * (1 - share)))

    def meets(self, share: float) -> bool:
        """Whether the objectives are kept here, and the server keeps up."""
        return self.keeps_up and self.requests > 0 and self.attainment >= share

    def undecided(self, share: float) -> bool:
        """Whether more of the same could still change that."""
        low, high = self.interval()
        return self.keeps_up and low < share <= high


@dataclass(frozen=True, slots=True)
class Capacity:
    """The highest level that keeps the objectives, and where it lies at 95 %. level: None where none does.

    bounded: whether a level that does not keep them was seen. limits: what stands in the way above it.
    """

    level: float | None
    low: float = 0.0
    high: float = 0.0
    bounded: bool = True
    limits: tuple[str, ...] = ()


def step(
    level: float,
    records: Sequence[RequestRecord],
    summary: Summary,
    objectives: LatencyObjectives | None,
    *,
    open_loop: bool,
    believable: bool = True,
    folder: str = "",
) -> LoadStep:
    """What a run at a level has shown. Of users who send so seldom that not each is measured, nothing can be
    said: those who come back soon are the ones that were answered first."""
    window = summary.window
    sums = [[0, 0] for _ in range(BATCHES)]
    for one in records:
        unfinished = one.failure is not None and one.failure.kind == "cancelled"
        if window.start <= one.scheduled < window.end and not unfinished:
            place = int((one.scheduled - window.start) / window.seconds * BATCHES) if window.seconds else 0
            batch = sums[min(BATCHES - 1, place)]
            batch[0] += objectives.kept_by(one) if objectives else one.ok
            batch[1] += 1
    late = "throughput" if open_loop else "duration"
    limits = [name for name, _ in sorted(summary.broken.items(), key=lambda pair: -pair[1])]
    if open_loop:
        keeps_up = summary.completed >= KEEPS_UP * summary.offered - 2 / (window.seconds or 1)
    else:
        keeps_up = sum(count for _, count in sums) >= level
    return LoadStep(
        level,
        tuple((kept, count) for kept, count in sums),
        keeps_up,
        summary.completed,
        summary.output_rate,
        summary.ttft.p99,
        summary.itl.p99,
        (*limits, *(["failures"] if summary.failed else []), *([] if keeps_up else [late])),
        folder,
        believable,
    )


def merged(first: LoadStep, second: LoadStep) -> LoadStep:
    """Two looks at the same level as one."""
    return LoadStep(
        first.level,
        (*first.batches, *second.batches),
        first.keeps_up and second.keeps_up,
        (first.completed + second.completed) / 2,
        (first.output_rate + second.output_rate) / 2,
        max(first.ttft, second.ttft),
        max(first.itl, second.itl),
        first.limits or second.limits,
        first.folder,
        first.believable and second.believable,
        _mean(first.running, second.running),
        _mean(first.waiting, second.waiting),
    )


def _mean(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else (one + other) / 2


def next_level(
    steps: Sequence[LoadStep], share: float, precision: float, least: float, most: float, factor: float = 2.0
) -> float | None:
    """The level to try next; None once the answer is as precise as asked, or cannot be had within the
    bounds. factor: from one level that is kept to the next, while none is known that is not."""
    if len(steps) >= MOST_STEPS:
        return None
    good = max((one.level for one in steps if one.meets(share)), default=None)
    bad = min((one.level for one in steps if not one.meets(share)), default=None)
    if good is None:
        lower = (bad or least * factor) / factor
        return lower if lower >= least else None
    if bad is None or bad <= good:
        return good * factor if good * factor <= most else None
    if bad / good <= 1 + precision:
        return None
    return math.sqrt(good * bad)


def next_users(steps: Sequence[LoadStep], share: float, most: int) -> int | None:
    """The same for whole numbers of users."""
    found = next_level(steps, share, 0.0, 1, most, USERS_FACTOR)
    if found is None:
        return None
    tried = {round(one.level) for one in steps}
    good = max((round(one.level) for one in steps if one.meets(share)), default=0)
    users = max(good + 1, round(found)) if good else round(found)
    return None if users in tried else users


def capacity(steps: Sequence[LoadStep], share: float, seed: int = 0) -> Capacity:
    """The capacity that steps show, with its interval.

    Where the load generator itself was late, what was kept nonetheless counts; what was not may be its fault.
    """
    believed = [one for one in steps if one.requests and (one.believable or one.meets(share))]
    level = _crossing([(one.level, _attained(one, one.batches)) for one in believed], share)
    above = [one for one in sorted(believed, key=lambda one: one.level) if not one.meets(share)]
    limits = next((one.limits for one in above if level is None or one.level > level), ())
    if level is None:
        return Capacity(None, bounded=True, limits=limits)
    random = Random(seed)
    found = sorted(_resampled(believed, share, random) for _ in range(RESAMPLES))
    low, high = found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES) - 1]
    kept = max((one.level for one in believed if one.meets(share) and one.level <= level), default=level)
    broken = min((one.level for one in believed if not one.meets(share) and one.level > level), default=level)
    return Capacity(level, min(low, kept), max(high, broken), bool(above), limits)


def _resampled(steps: Sequence[LoadStep], share: float, random: Random) -> float:
    drawn = [(one.level, _attained(one, random.choices(one.batches, k=len(one.batches)))) for one in steps]
    return _crossing(drawn, share) or 0.0


def _attained(one: LoadStep, batches: Sequence[Batch]) -> tuple[float, int]:
    """Attainment and its weight; none where the server did not keep up."""
    count = sum(number for _, number in batches)
    kept = sum(number for number, _ in batches)
    return (kept / count if count and one.keeps_up else 0.0), max(1, count)


def _crossing(points: Sequence[tuple[float, tuple[float, int]]], share: float) -> float | None:
    """The highest level whose attainment, made monotone, is the share; between two levels, in proportion of
    their logarithms."""
    levels = sorted(points)
    curve = _monotone([value for _, value in levels])
    good: float | None = None
    for (level, _), value, number in zip(levels, curve, range(len(levels)), strict=True):
        if value >= share:
            good = level
        elif good is None:
            return None
        else:
            before = curve[number - 1]
            part = (before - share) / (before - value) if before > value else 0.0
            return float(math.exp(math.log(good) + part * (math.log(level) - math.log(good))))
    return good


def _monotone(values: Sequence[tuple[float, int]]) -> list[float]:
    """The closest curve that never rises: neighbours that do are pooled."""
    pools: list[tuple[float, int, int]] = []
    for value, weight in values:
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-1][0] > pools[-2][0]:
            (a, wa, na), (b, wb, nb) = pools[-2:]
            pools[-2:] = [((a * wa + b * wb) / (wa + wb), wa + wb, na + nb)]
    return [value for value, _, number in pools for _ in range(number)]


def wilson(share: float, count: float) -> tuple[float, float]:
    """Wilson's interval of a share at 95 %. Source: Wilson, 1927, JASA 22 (158)."""
    if count <= 0:
        return 0.0, 1.0
    centre = share + Z * Z / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
