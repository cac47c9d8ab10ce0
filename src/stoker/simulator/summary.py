"""What simulated requests say, in the figures of a measured run, by the same definitions
(docs/reference/measures.md). Gaps between tokens are those of all streams, by when they came.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from stoker.simulator.gaps import Gaps
from stoker.simulator.request import Request
from stoker.traffic.measures import Summary, Window, at_once, spread
from stoker.traffic.objectives import LatencyObjectives


def summarize(
    requests: Sequence[Request], gaps: Gaps, window: Window, objectives: LatencyObjectives
) -> Summary:
    """The figures of the requests that were due in the window. What was still running as the simulation ended
    is in none of them."""
    inside = [one for one in requests if window.start <= one.due < window.end and one.failed != "cancelled"]
    answered = [one for one in inside if one.failed is None]
    seconds = window.seconds or math.inf
    kept, broken = _kept(answered, objectives)
    asked = sum(one.prompt for one in answered)
    ends = ((one.due, window.end if one.last_at is None else one.last_at) for one in requests)
    mean, peak = at_once(ends, window)
    return Summary(
        window=window,
        requests=len(inside),
        failed=len(inside) - len(answered),
        errors=dict(Counter(str(one.failed) for one in inside if one.failed is not None).most_common()),
        offered=len(inside) / seconds,
        completed=sum(_within(one.last_at, window) for one in requests if one.failed is None) / seconds,
        output_rate=sum(_written(one, window) for one in requests) / seconds,
        input_rate=sum(one.prompt for one in requests if _within(one.first, window)) / seconds,
        goodput=kept / seconds if objectives else None,
        attainment=kept / len(inside) if objectives and inside else None,
        broken=broken,
        concurrency=mean,
        peak_concurrency=peak,
        ttft=spread(ttft(one) for one in answered),
        itl=gaps.spread(),
        tpot=spread(tpot(one) for one in answered if one.written > 1),
        e2e=spread(e2e(one) for one in answered),
        input=spread(one.prompt for one in answered),
        output=spread(one.written for one in answered),
        cached=sum(one.cached for one in answered) / asked if asked else None,
    )


def ttft(one: Request) -> float:
    """Seconds to the first token of an answered request."""
    assert one.first is not None
    return one.first - one.due


def e2e(one: Request) -> float:
    """Seconds to its end."""
    assert one.last_at is not None
    return one.last_at - one.due


def tpot(one: Request) -> float:
    """Mean seconds a token after the first."""
    assert one.last_at is not None
    assert one.first is not None
    return (one.last_at - one.first) / (one.written - 1)


def kept(one: Request, objectives: LatencyObjectives) -> bool:
    """Whether a request that is done was answered within all bounds."""
    return one.failed is None and not _missed(one, objectives)


def _missed(one: Request, objectives: LatencyObjectives) -> list[str]:
    """The bounds that an answered request broke."""
    bounds = (
        ("ttft", objectives.ttft, ttft(one)),
        ("itl", objectives.itl, tpot(one) if one.written > 1 else 0.0),
        ("e2e", objectives.e2e, e2e(one)),
    )
    return [name for name, bound, value in bounds if bound is not None and value > bound]


def _kept(answered: Sequence[Request], objectives: LatencyObjectives) -> tuple[int, dict[str, int]]:
    """How many kept all bounds, and how many broke each."""
    broken: Counter[str] = Counter()
    whole = 0
    for one in answered:
        missed = _missed(one, objectives)
        broken.update(missed)
        whole += not missed
    return whole, dict(broken)


def _within(at: float | None, window: Window) -> bool:
    return at is not None and window.start <= at < window.end


def _written(one: Request, window: Window) -> float:
    """Tokens of its answer that came within the window; evenly spread where it reaches beyond."""
    if one.first is None or one.last_at is None:
        return 0.0
    begin, end = max(one.first, window.start), min(one.last_at, window.end)
    if end < begin:
        return 0.0
    length = one.last_at - one.first
    return one.written if length <= 0 else one.written * (end - begin) / length
