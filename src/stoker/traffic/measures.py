"""What a run's records say: latencies, throughput, goodput and errors, over the part of it that is measured.

Definitions, with their sources, are in docs/reference/measures.md. Latencies count from when a request was
due, so that a slow server cannot make them small by holding up the load generator (coordinated omission);
those from when it was sent stand beside them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.records import RequestRecord

LAG_LIMIT = 0.005  # seconds of p99 dispatch lag beyond which a run does not hold
BUSY_LIMIT = 0.9  # of a core that a worker of the load generator may use


@dataclass(frozen=True, slots=True)
class Spread:
    """How a quantity is spread over observations, in its own unit (times: seconds). Quantiles are
    interpolated between neighbours."""

    count: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    least: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    most: float = 0.0


@dataclass(frozen=True, slots=True)
class Window:
    """The measured part of a run, in seconds from its start. rule: why it begins and ends there."""

    start: float
    end: float
    rule: str = ""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return max(0.0, self.end - self.start)


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in figures. Rates are a second's, over the window; latencies of requests that were due in it.

    offered: requests due a second; completed: answers that became whole; goodput: requests that kept all
    objectives; attainment: their share (None without objectives). output_rate, input_rate: tokens.
    concurrency: requests in flight. mismatched: requests whose prompt had another number of tokens than was
    asked for.
    """

    window: Window
    requests: int = 0
    failed: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    offered: float = 0.0
    completed: float = 0.0
    output_rate: float = 0.0
    input_rate: float = 0.0
    goodput: float | None = None
    attainment: float | None = None
    broken: Mapping[str, int] = field(default_factory=dict)
    concurrency: float = 0.0
    peak_concurrency: int = 0
    ttft: Spread = Spread()
    ttft_sent: Spread = Spread()
    itl: Spread = Spread()
    tpot: Spread = Spread()
    e2e: Spread = Spread()
    e2e_sent: Spread = Spread()
    input: Spread = Spread()
    output: Spread = Spread()
    cached: float | None = None
    lag: Spread = Spread()
    mismatched: int = 0
    uneven_events: bool = False


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of sorted values lies, between neighbours (Hyndman and Fan, type 7,
    as numpy and vLLM's benchmark). Of none: NaN."""
    if not ordered:
        return math.nan
    rank = share * (len(ordered) - 1)
    low = int(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def spread(values: Iterable[float]) -> Spread:
    """The spread of values; all zero, count included, without any."""
    ordered = sorted(values)
    if not ordered:
        return Spread()
    mean = math.fsum(ordered) / len(ordered)
    variance = math.fsum((one - mean) ** 2 for one in ordered) / len(ordered)
    p50, p90, p95, p99 = (quantile(ordered, share) for share in (0.5, 0.9, 0.95, 0.99))
    return Spread(len(ordered), mean, math.sqrt(variance), ordered[0], p50, p90, p95, p99, ordered[-1])


def summarize(
    records: Sequence[RequestRecord], window: Window, objectives: LatencyObjectives | None = None
) -> Summary:
    """The figures of a run. Records that were cancelled as the test ended are in none of them."""
    inside = [one for one in records if window.start <= one.scheduled < window.end and not _unfinished(one)]
    answered = [one for one in inside if one.ok]
    seconds = window.seconds or math.inf
    kept = sum(objectives.kept_by(one) for one in inside) if objectives else None
    asked = sum(one.input or 0 for one in answered)
    flight = _in_flight(records, window)
    return Summary(
        window=window,
        requests=len(inside),
        failed=len(inside) - len(answered),
        errors=dict(Counter(_kind(one) for one in inside if not one.ok).most_common()),
        offered=len(inside) / seconds,
        completed=sum(one.ok and _within(one.last, window) for one in records) / seconds,
        output_rate=sum(_tokens_within(one, window) for one in records) / seconds,
        input_rate=sum(one.input or 0 for one in records if _within(one.first_token, window)) / seconds,
        goodput=None if kept is None else kept / seconds,
        attainment=None if kept is None or not inside else kept / len(inside),
        broken=_broken(answered, objectives),
        concurrency=flight[0],
        peak_concurrency=flight[1],
        cached=sum(one.cached or 0 for one in answered) / asked if asked else None,
        lag=spread(one.lag for one in inside if one.lag is not None),
        mismatched=sum(_mismatched(one) for one in answered),
        uneven_events=any(one.counts is not None for one in answered),
        **_latencies(answered),
    )


def _latencies(answered: Sequence[RequestRecord]) -> dict[str, Spread]:
    sent = [(one, one.sent) for one in answered if one.sent is not None]
    return {
        "ttft": spread(one.ttft for one in answered if one.ttft is not None),
        "ttft_sent": spread(one.first_token - at for one, at in sent if one.first_token is not None),
        "itl": spread(gap for one in answered for gap in one.gaps()),
        "tpot": spread(one.tpot for one in answered if one.tpot is not None),
        "e2e": spread(one.e2e for one in answered if one.e2e is not None),
        "e2e_sent": spread(one.last - at for one, at in sent if one.last is not None),
        "input": spread(one.input for one in answered if one.input is not None),
        "output": spread(one.output for one in answered if one.output is not None),
    }


def _unfinished(record: RequestRecord) -> bool:
    return record.failure is not None and record.failure.kind == "cancelled"


def _kind(record: RequestRecord) -> str:
    failure = record.failure
    assert failure is not None
    return f"{failure.kind} {failure.status}" if failure.kind == "status" else failure.kind


def _within(at: float | None, window: Window) -> bool:
    return at is not None and window.start <= at < window.end


def _tokens_within(record: RequestRecord, window: Window) -> int:
    """Tokens that came within the window."""
    first, last = record.first_token, record.last
    if first is not None and last is not None and first >= window.start and last < window.end:
        return record.streamed
    return sum(number for at, number in record.tokens if _within(at, window))


def _mismatched(record: RequestRecord) -> bool:
    return record.wanted is not None and record.input is not None and record.wanted != record.input


def _broken(answered: Sequence[RequestRecord], objectives: LatencyObjectives | None) -> dict[str, int]:
    """How many answered requests broke each bound."""
    if not objectives:
        return {}
    return dict(Counter(name for one in answered for name in objectives.broken_by(one)))


def _in_flight(records: Sequence[RequestRecord], window: Window) -> tuple[float, int]:
    """Requests in flight within the window: their mean over time, and the most at once."""
    spans = ((one.sent, one.last) for one in records if one.sent is not None and one.last is not None)
    return at_once(spans, window)


def at_once(spans: Iterable[tuple[float, float]], window: Window) -> tuple[float, int]:
    """How many spans (begin, end) there are at once within the window: the mean over time, and the most."""
    moves: list[tuple[float, int]] = []
    for begin, end in spans:
        if end > window.start and begin < window.end:
            moves += ((max(begin, window.start), 1), (min(end, window.end), -1))
    here = peak = 0
    area, before = 0.0, window.start
    for at, change in sorted(moves):
        area += here * (at - before)
        here, before = here + change, at
        peak = max(peak, here)
    return (area / window.seconds if window.seconds else 0.0), peak


def measured_window(records: Sequence[RequestRecord], warmup: float, duration: float) -> Window:
    """What is measured of a run: after its warm-up, until no new requests come (the cool-down is left out);
    of a run that ends by its number of requests, until the last answer."""
    if duration < math.inf:
        return Window(warmup, duration, f"requests due from {warmup:g} s to {duration:g} s")
    end = max((one.last for one in records if one.last is not None), default=warmup)
    return Window(warmup, end + 1e-9, f"requests due from {warmup:g} s to the last answer at {end:.1f} s")
