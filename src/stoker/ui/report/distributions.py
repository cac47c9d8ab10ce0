"""How latencies and lengths are spread: cumulative shares on a logarithmic axis, and histograms."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stoker.traffic.measures import quantile
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.run import Run
from stoker.ui.report.charts import Chart, Hue, Mark, Point, Series
from stoker.ui.report.figures import Unit, figure
from stoker.ui.report.scales import Axis, around, from_zero, logarithmic

SHARES = (*(n / 100 for n in range(100)), *(0.99 + n / 1000 for n in range(10)), 0.9995, 1.0)
TOLD = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
BARS = 40
EDGE = 0.001  # share at either end that a histogram leaves out
NAMES = {
    "ttft": "time to first token",
    "itl": "inter-token latency",
    "tpot": "time per output token",
    "e2e": "end to end",
}
HUES: Mapping[str, Hue] = {"ttft": "a", "itl": "b", "tpot": "e", "e2e": "d"}
LATENCY: Unit = "s"
Values = Mapping[str, Sequence[float]]


def observed(run: Run) -> dict[str, list[float]]:
    """What answered requests of the window showed, sorted."""
    window = run.window
    inside = [one for one in run.records if one.ok and window.start <= one.scheduled < window.end]
    found = {
        "ttft": [one.ttft for one in inside if one.ttft is not None],
        "itl": [gap for one in inside for gap in one.gaps()],
        "tpot": [one.tpot for one in inside if one.tpot is not None],
        "e2e": [one.e2e for one in inside if one.e2e is not None],
        "input": [float(one.input) for one in inside if one.input is not None],
        "output": [float(one.output) for one in inside if one.output is not None],
        "lag": [one.lag for one in inside if one.lag is not None],
    }
    return {name: sorted(values) for name, values in found.items() if values}


def cumulative(values: Values, objectives: LatencyObjectives) -> Chart | None:
    """The share of observations that are at most so long."""
    known = {name: values[name] for name in NAMES if values.get(name)}
    if not known:
        return None
    ends = [quantile(one, share) for one in known.values() for share in (0.005, 1.0)]
    asked = {"ttft": objectives.ttft, "tpot": objectives.itl, "e2e": objectives.e2e}  # itl bounds a mean
    bounds = {name: bound for name, bound in asked.items() if bound is not None}
    return Chart(
        "Percentiles",
        "The share of observations that are at most so long, on a logarithmic axis of time.",
        logarithmic("time", [*ends, *bounds.values()]),
        Axis("share of observations", 0.0, 1.0, "%"),
        tuple(Series(NAMES[name], HUES[name], _curve(one)) for name, one in known.items()),
        ("share", *(NAMES[name] for name in known)),
        tuple((share, *(quantile(one, share) for one in known.values())) for share in TOLD),
        ("%", *(LATENCY for _ in known)),
        tuple(Mark("objective", bound, "x", HUES[name]) for name, bound in bounds.items()),
        by="y",
    )


def _curve(ordered: Sequence[float]) -> list[Point]:
    return [(quantile(ordered, share), share) for share in SHARES]


def overlaid(name: str, a: Sequence[float], b: Sequence[float]) -> Chart | None:
    """One latency of two runs."""
    if not a or not b:
        return None
    ends = [quantile(one, share) for one in (a, b) for share in (0.005, 1.0)]
    title = NAMES[name].capitalize()
    return Chart(
        title,
        f"The share of observations that are at most so long, of A and of B: {NAMES[name]}.",
        logarithmic("time", ends),
        Axis("share of observations", 0.0, 1.0, "%"),
        (Series("A", "a", _curve(a)), Series("B", "b", _curve(b))),
        ("share", "A", "B"),
        tuple((share, quantile(a, share), quantile(b, share)) for share in TOLD),
        ("%", "s", "s"),
        by="y",
    )


@dataclass(frozen=True, slots=True)
class Histogram:
    """What is drawn of a quantity. label: what the values are."""

    name: str
    title: str
    label: str
    unit: Unit
    hue: Hue


SHOWN = (
    Histogram("ttft", "Time to first token", "time", "s", "a"),
    Histogram("itl", "Inter-token latency", "time", "s", "b"),
    Histogram("tpot", "Time per output token", "time", "s", "b"),
    Histogram("e2e", "End to end", "time", "s", "d"),
    Histogram("lag", "Dispatch lag", "time", "s", "dim"),
    Histogram("input", "Prompt length", "tokens", "number", "d"),
    Histogram("output", "Answer length", "tokens", "number", "e"),
)


def histograms(values: Values) -> list[Chart]:
    """Of latencies; and of lengths, where they are not all the same."""
    known = ((one, values.get(one.name)) for one in SHOWN)
    return [_histogram(ordered, one) for one, ordered in known if ordered and ordered[0] < ordered[-1]]


def _histogram(ordered: Sequence[float], asked: Histogram) -> Chart:
    unit = asked.unit
    whole = asked.label == "tokens"
    low, high = (quantile(ordered, share) for share in (EDGE, 1 - EDGE))
    width = (
        max((high - low) / BARS, 1e-9 * max(1.0, high))
        if not whole
        else max(1.0, math.ceil((high - low) / BARS))
    )
    if whole:
        low, high = math.floor(low) - 0.5, math.ceil(high) + 0.5
    elif high - low < 1e-6:
        low, high, width = low * 0.95, high * 1.05 + 1e-6, (high * 0.1 + 1e-6) / BARS
    bars = _counted(ordered, low, high, width)
    beyond = len(ordered) - sum(int(count) for _, count in bars)
    more = f" {beyond:,} of {len(ordered):,} lie beyond the drawing." if beyond else ""
    return Chart(
        asked.title,
        f"How many observations there are of each size: {figure(low, unit)} to {figure(high, unit)}.{more}",
        around(asked.label, low, high, unit),
        from_zero("observations", [count for _, count in bars]),
        (Series("observations", asked.hue, [*bars, (low + len(bars) * width, None)], "bars"),),
        ("from", "observations"),
        tuple((max(0.0, at + 0.5 if whole else at), count) for at, count in bars if count),
        (unit, "number"),
    )


def _counted(ordered: Sequence[float], low: float, high: float, width: float) -> list[tuple[float, float]]:
    from bisect import bisect_left

    count = max(1, math.ceil((high - low) / width - 1e-9))
    edges = [bisect_left(ordered, low + n * width) for n in range(count)]
    edges.append(bisect_left(ordered, math.nextafter(low + count * width, math.inf)))
    return [(low + n * width, float(after - before)) for n, (before, after) in enumerate(pairwise(edges))]
