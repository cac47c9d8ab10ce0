"""Comparing two results: by how much each figure differs, and whether that is more than chance.

Requests that are close in time fare alike, so that they cannot be counted as independent. The window of
each result is therefore split into batches of equal time; how much a figure differs between batches says how
well the whole window's is known (batch means, in the form of sectioning, which is centred on the figure of
the whole). Where neighbouring batches still fare alike, they count as fewer. The ratio's interval is Welch's,
on its logarithm. What changes from one test to the next it cannot see: only repeated tests show that.
Source: Asmussen and Glynn, Stochastic Simulation, 2007, IV.5 and III.5; Welch, Biometrika 34, 1947.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Literal

from stoker.traffic.measures import quantile
from stoker.traffic.result import BINS, Observed, Result
from stoker.traffic.student import quantile as student

CONFIDENCE = 0.95
BATCHES = (20, 16, 15, 12, 10, 8)  # the most that hold enough observations
ENOUGH = {0.5: 5, 0.99: 100}  # observations in a batch, for a quantile: a p99 of fewer is the slowest
ENOUGH_PIECES = 5  # in a batch, for a rate
Verdict = Literal[
    "better",
    "worse",
    "higher",  # by another tool: it says nothing of what was measured
    "lower",
    "no difference seen",
    "too short to tell",
    "without records",  # a result without single requests
    "not told",
    "not comparable",
]


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure that is compared: a rate, or a latency's quantile."""

    name: str
    label: str
    share: float | None = None
    unit: Literal["ms", "/s"] = "ms"

    @property
    def smaller_is_better(self) -> bool:
        """Of latencies."""
        return self.unit == "ms"


METRICS = (
    *(
        Metric(name, f"{name} {label}", share)
        for name in ("ttft", "itl", "tpot", "e2e")
        for label, share in (("p50", 0.5), ("p99", 0.99))
    ),
    Metric("output_rate", "output tokens/s", unit="/s"),
    Metric("completed", "requests/s", unit="/s"),
    Metric("goodput", "goodput/s", unit="/s"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """A figure, and how well it is known. error: its standard error; freedom: degrees of freedom."""

    value: float
    error: float
    freedom: float


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of two results. a, b: in seconds, or a second's. ratio: b / a; low, high: where it lies at
    95 %, None where that is not known. sent: both count from when a request was sent, as one of them always
    does."""

    metric: Metric
    a: float | None
    b: float | None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: Verdict = "not told"
    sent: bool = False

    @property
    def significant(self) -> bool:
        """Whether they differ by more than chance."""
        return self.verdict in ("better", "worse", "higher", "lower")

    @property
    def label(self) -> str:
        """The figure's name."""
        return f"{self.metric.label}{' from sent' if self.sent else ''}"


def compare(a: Result, b: Result) -> tuple[Compared, ...]:
    """Every figure that at least one of them knows."""
    rows = (_compared(metric, a, b) for metric in METRICS)
    return tuple(row for row in rows if row.a is not None or row.b is not None)


def _compared(metric: Metric, a: Result, b: Result) -> Compared:
    sent = (metric.name in a.from_sent) != (metric.name in b.from_sent)
    mine, theirs = _told(metric, a, sent), _told(metric, b, sent)
    if mine is None or theirs is None:
        return Compared(metric, mine, theirs, sent=sent)
    ratio = theirs / mine if mine else None
    if metric.name == "goodput" and a.objectives != b.objectives:
        return Compared(metric, mine, theirs, ratio, verdict="not comparable")
    if a.sampled is None or b.sampled is None:
        return Compared(metric, mine, theirs, ratio, verdict="without records", sent=sent)
    words = _words(metric, a, b)
    pair = _known(metric, a, sent), _known(metric, b, sent)
    if (mine > 0) != (theirs > 0) and any(pair):  # nothing at all, against what cannot be chance
        return Compared(metric, mine, theirs, ratio, verdict=words[theirs == 0], sent=sent)
    if pair[0] is None or pair[1] is None:
        return Compared(metric, mine, theirs, ratio, verdict="too short to tell", sent=sent)
    low, high = interval(pair[0], pair[1])
    verdict: Verdict = "no difference seen" if low <= 1 <= high else words[high < 1]
    return Compared(metric, mine, theirs, ratio, low, high, verdict, sent)


def _words(metric: Metric, a: Result, b: Result) -> tuple[Verdict, Verdict]:
    """What more is, and what less is."""
    if a.tool.partition(" ")[0] != b.tool.partition(" ")[0]:
        return "higher", "lower"
    return ("worse", "better") if metric.smaller_is_better else ("better", "worse")


def _told(metric: Metric, result: Result, sent: bool) -> float | None:
    """As the result itself has it."""
    if metric.share is None:
        found: float | None = getattr(result, metric.name)
        return found
    told = result.latencies.get(_name(metric, result, sent))
    return None if told is None else (told.p50 if metric.share == 0.5 else told.p99)


def _name(metric: Metric, result: Result, sent: bool) -> str:
    """Where one of the two counts from sent alone, the other's figure that does so too."""
    return f"{metric.name}_sent" if sent and metric.name not in result.from_sent else metric.name


def interval(a: Known, b: Known) -> tuple[float, float]:
    """Where b / a lies at 95 %."""
    parts = [((one.error / one.value) ** 2, one.freedom) for one in (a, b)]
    variance = sum(part for part, _ in parts)
    centre = math.log(b.value / a.value)
    if not variance:
        return math.exp(centre), math.exp(centre)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = student(CONFIDENCE, round(freedom, 1)) * math.sqrt(variance)
    return math.exp(centre - half), math.exp(centre + half)


def _known(metric: Metric, result: Result, sent: bool) -> Known | None:
    """The figure that the result tells, with the relative error that its observations have."""
    told, sampled = _told(metric, result, sent), result.sampled
    if sampled is None or not told:
        return None
    if metric.share is None:
        amounts = sampled.amounts.get(metric.name)
        found = None if amounts is None else rate_known(*amounts, sampled.seconds)
    else:
        observed = sampled.latencies.get(_name(metric, result, sent))
        found = quantile_known(observed, sampled.seconds, metric.share) if observed else None
    if found is None or not found.value:
        return None
    return Known(told, told * found.error / found.value, found.freedom)


def rate_known(sums: Sequence[float], pieces: Sequence[float], seconds: float) -> Known | None:
    """A rate out of what came in equal parts of a window; None with too few pieces."""
    for count in BATCHES:
        size = BINS // count
        batches = [sum(sums[start : start + size]) for start in range(0, BINS, size)]
        held = [sum(pieces[start : start + size]) for start in range(0, BINS, size)]
        if sum(held) / count >= ENOUGH_PIECES:
            return _sections([one * count / seconds for one in batches], sum(sums) / seconds)
    return None


def quantile_known(observed: Observed, seconds: float, share: float) -> Known | None:
    """A quantile out of observations and when they were made; None with too few of them."""
    total = sum(len(values) for _, values in observed)
    for count in BATCHES:
        if total / count >= ENOUGH[share]:
            batches: list[list[float]] = [[] for _ in range(count)]
            for at, values in observed:
                batches[min(count - 1, int(at / seconds * count))] += values
            ordered = [sorted(batch) for batch in batches if batch]
            whole = quantile(sorted(chain.from_iterable(ordered)), share)
            return _sections([quantile(batch, share) for batch in ordered], whole)
    return None


def _sections(values: Sequence[float], whole: float) -> Known | None:
    """The figure of the whole, its error out of those of its sections."""
    count = len(values)
    if count < BATCHES[-1]:
        return None
    variance = sum((one - whole) ** 2 for one in values) / (count - 1)
    alike = _alike(values)
    independent = max(2.0, count * (1 - alike) / (1 + alike))
    return Known(whole, math.sqrt(variance / independent), independent - 1)


def _alike(values: Sequence[float]) -> float:
    """The correlation between a batch and the next; 0 where they do not fare alike."""
    mean = sum(values) / len(values)
    apart = [one - mean for one in values]
    square = sum(one * one for one in apart)
    if not square:
        return 0.0
    found = sum(x * y for x, y in pairwise(apart)) / square
    return min(0.9, max(0.0, found + 1 / len(values)))  # the estimate is low by about so much
