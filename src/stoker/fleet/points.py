"""Points: what a fleet and its replicas did at a moment, out of samples that only count upwards."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import reduce
from typing import Any, TypeVar

from stoker.engine.samples import Histogram, MetricSample

T = TypeVar("T")
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Point:
    """One row of a fleet's history: of the whole fleet (`replica` empty) or of one replica.

    Rates are a second's, times in seconds, shares 0 to 1. None: nobody told, or nothing happened that has
    such a figure.
    """

    at: float
    replica: str = ""
    ready: int | None = None
    wanted: int | None = None
    running: float | None = None
    waiting: float | None = None
    kv_cache_usage: float | None = None
    prompt_tokens_rate: float | None = None
    generation_tokens_rate: float | None = None
    requests_rate: float | None = None
    errors_rate: float | None = None
    preemptions_rate: float | None = None
    prefix_hit_share: float | None = None
    ttft_p50: float | None = None
    ttft_p90: float | None = None
    ttft_p99: float | None = None
    itl_p50: float | None = None
    itl_p90: float | None = None
    itl_p99: float | None = None


COLUMNS = tuple(one.name for one in fields(Point))


@dataclass(slots=True)
class _Seen:
    """What one replica, or all, did so far: reset or not, it only grows."""

    counters: dict[str, float] = field(default_factory=dict)
    histograms: dict[str, Histogram] = field(default_factory=dict)

    def add(self, other: "_Seen") -> None:
        for name, value in other.counters.items():
            self.counters[name] = self.counters.get(name, 0.0) + value
        for name, found in other.histograms.items():
            mine = self.histograms.get(name)
            self.histograms[name] = mine.plus(found) if mine else found

    def copy(self) -> "_Seen":
        return _Seen(dict(self.counters), dict(self.histograms))

    def since(self, earlier: "_Seen") -> "_Seen":
        counters = {name: value - earlier.counters.get(name, 0.0) for name, value in self.counters.items()}
        histograms = {
            name: found.since(earlier.histograms[name]) if name in earlier.histograms else found
            for name, found in self.histograms.items()
        }
        return _Seen(counters, histograms)


def _step(now: MetricSample, before: MetricSample) -> _Seen:
    """What happened between two samples. An engine that began anew counts from zero; one that has joined,
    from its next look."""
    counters = {
        name: sum(_more(value, earlier[labels]) for labels, value in found.items() if labels in earlier)
        for name, found in _by_labels(now.series, now.counters).items()
        if (earlier := _by_labels(before.series, before.counters).get(name)) is not None
    }
    histograms = {}
    for name, shapes in _by_labels(now.shapes, now.histograms).items():
        was = _by_labels(before.shapes, before.histograms).get(name, {})
        steps = [one.since(was[labels]) for labels, one in shapes.items() if labels in was]
        if steps:
            histograms[name] = reduce(Histogram.plus, steps)
    return _Seen(counters, histograms)


def _more(now: float, before: float) -> float:
    return now - before if now >= before else now


def _by_labels(
    parts: Mapping[str, Mapping[bytes, T]], whole: Mapping[str, T]
) -> Mapping[str, Mapping[bytes, T]]:
    """Each by its labels; as one, where a sample has no labels."""
    return parts or {name: {b"": value} for name, value in whole.items()}


class Window:
    """Turns samples into points, each over the last `seconds`. Times come from a clock that does not jump."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last: dict[str, MetricSample] = {}
        self._totals: dict[str, _Seen] = {"": _Seen()}
        self._marks: dict[str, deque[tuple[float, _Seen]]] = {}

    def add(
        self,
        clock: float,
        wall: float,
        samples: Mapping[str, MetricSample | None],
        ready: int | None = None,
        wanted: int | None = None,
    ) -> tuple[Point, ...]:
        """The fleet's point and one a replica. A replica that did not answer has a point without figures."""
        for name in self._last.keys() - samples.keys():
            del self._last[name]
            self._totals.pop(name, None), self._marks.pop(name, None)
        for name, sample in samples.items():
            if sample is not None:
                self._take(name, sample)
            else:  # what it does in its silence is nobody's rate of the moment in which it speaks again
                self._last.pop(name, None)
                self._marks.pop(name, None)
        there = [sample for sample in samples.values() if sample is not None]
        whole = self._point("", clock, wall, _joined(there), bool(there))
        whole = _with(whole, ready, wanted)
        return (
            whole,
            *(
                self._point(name, clock, wall, sample.gauges if sample else {}, sample is not None)
                for name, sample in samples.items()
            ),
        )

    def total(self) -> tuple[Mapping[str, float], Mapping[str, Histogram]]:
        """Counters and histograms of all replicas since the first look."""
        whole = self._totals[""]
        return dict(whole.counters), dict(whole.histograms)

    def _take(self, name: str, sample: MetricSample) -> None:
        before = self._last.get(name)
        self._last[name] = sample
        mine = self._totals.setdefault(name, _Seen())
        if before is not None:
            step = _step(sample, before)
            mine.add(step)
            self._totals[""].add(step)

    def _point(self, name: str, clock: float, wall: float, gauges: Mapping[str, float], told: bool) -> Point:
        total = self._totals.get(name)
        if total is None or not told:
            return Point(wall, name, **_gauges(gauges))
        marks = self._marks.setdefault(name, deque())
        marks.append((clock, total.copy()))
        while len(marks) > 2 and clock - marks[1][0] >= self.seconds:
            marks.popleft()
        took = clock - marks[0][0]
        if took <= 0:
            return Point(wall, name, **_gauges(gauges))
        did = total.since(marks[0][1])
        return Point(wall, name, **_gauges(gauges), **_rates(did, took), **_times(did))


def _with(point: Point, ready: int | None, wanted: int | None) -> Point:
    return replace(point, ready=ready, wanted=wanted)


def _joined(samples: list[MetricSample]) -> dict[str, float]:
    """Gauges of all: sums, and the mean use of the KV caches."""
    out: dict[str, float] = {}
    for name in ("running", "waiting", "kv_cache_usage"):
        values = [sample.gauges[name] for sample in samples if name in sample.gauges]
        if values:
            out[name] = sum(values) / (len(values) if name == "kv_cache_usage" else 1)
    return out


def _gauges(gauges: Mapping[str, float]) -> dict[str, Any]:
    return {name: gauges.get(name) for name in ("running", "waiting", "kv_cache_usage")}


def _rates(did: _Seen, took: float) -> dict[str, Any]:
    names = ("prompt_tokens", "generation_tokens", "requests", "errors", "preemptions")
    out: dict[str, Any] = {
        f"{name}_rate": did.counters[name] / took if name in did.counters else None for name in names
    }
    asked = did.counters.get("prefix_queries")
    out["prefix_hit_share"] = did.counters.get("prefix_hits", 0.0) / asked if asked else None
    return out


def _times(did: _Seen) -> dict[str, Any]:
    return {
        f"{name}_{label}": did.histograms[name].quantile(share) if name in did.histograms else None
        for name in ("ttft", "itl")
        for label, share in QUANTILES.items()
    }
