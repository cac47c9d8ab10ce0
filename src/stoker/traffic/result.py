"""Result: what a load test found, in a form that a run of ours and a peer's result have in common."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from stoker.traffic.measures import Spread, Summary, Window
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.records import RequestRecord
from stoker.traffic.run import Environment, Run

LATENCIES = ("ttft", "ttft_sent", "itl", "tpot", "e2e", "e2e_sent")
BINS = 240  # of a window: 20, 16, 15, 12, 10 and 8 batches are whole numbers of them
Observed = Sequence[tuple[float, Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Told:
    """How a latency is spread, in seconds, as far as it is told. None: it is not."""

    mean: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    most: float | None = None
    count: float | None = None


@dataclass(frozen=True, slots=True)
class Sampled:
    """A window's observations in the course of time, for intervals.

    seconds: its length. latencies: by name, when a request was due, after the window's start, and what was
    observed of it. amounts: by name, how much came in each of BINS equal parts of the window, and in how
    many pieces.
    """

    seconds: float
    latencies: Mapping[str, Observed] = field(default_factory=dict)
    amounts: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """A load test's figures. tool: what measured, with its version where it tells. started: epoch seconds.

    seconds: how long the measured part was. Rates are a second's; None is what the tool does not know.
    notes: by row, where its definition is another than ours. from_sent: latencies that it counts from when a
    request was sent, not from when it was due.
    """

    tool: str
    kind: Literal["measured", "simulated"]
    name: str
    model: str
    started: float | None = None
    workload: Mapping[str, Any] = field(default_factory=dict)
    environment: Environment = Environment()
    seconds: float | None = None
    requests: int | None = None
    failed: int | None = None
    offered: float | None = None
    completed: float | None = None
    output_rate: float | None = None
    input_rate: float | None = None
    goodput: float | None = None
    concurrency: float | None = None
    objectives: LatencyObjectives = LatencyObjectives()
    holds: bool = True
    input: float | None = None  # tokens a request, on average
    output: float | None = None
    latencies: Mapping[str, Told] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    from_sent: frozenset[str] = frozenset()
    sampled: Sampled | None = field(default=None, repr=False)


def of_run(run: Run) -> Result:
    """A run of ours as a result."""
    found = run.summary
    return Result(
        tool=f"stoker {run.environment.stoker}".strip(),
        kind=run.kind,
        name=run.name,
        model=run.model,
        started=run.started,
        workload=run.workload,
        environment=run.environment,
        seconds=found.window.seconds,
        requests=found.requests,
        failed=found.failed,
        offered=found.offered,
        completed=found.completed,
        output_rate=found.output_rate,
        input_rate=found.input_rate,
        goodput=found.goodput,
        concurrency=found.concurrency,
        objectives=run.objectives,
        holds=run.holds,
        input=found.input.mean if found.input.count else None,
        output=found.output.mean if found.output.count else None,
        latencies=_told(found),
        sampled=sampled(run.records, found.window, run.objectives or None),
    )


def _told(found: Summary) -> dict[str, Told]:
    spreads: dict[str, Spread] = {name: getattr(found, name) for name in LATENCIES}
    return {
        name: Told(one.mean, one.p50, one.p90, one.p95, one.p99, one.most, one.count)
        for name, one in spreads.items()
        if one.count
    }


def sampled(
    records: Sequence[RequestRecord], window: Window, objectives: LatencyObjectives | None
) -> Sampled | None:
    """What records show within a window; None of an empty one, or without records. The same requests count
    as in a Summary."""
    if not records or not window.seconds:
        return None
    sampling, begin = Sampling(window.seconds), window.start
    for one in records:
        sampling.pieces("output_rate", begin, one.tokens)
        if one.ok and one.last is not None:
            sampling.amount("completed", one.last - begin, 1)
        if window.start <= one.scheduled < window.end and one.ok:
            _take(sampling, one, one.scheduled - begin)
            if objectives:
                sampling.amount("goodput", one.scheduled - begin, objectives.kept_by(one))
    return sampling.sampled()


def _take(sampling: "Sampling", one: RequestRecord, due: float) -> None:
    """The latencies of an answered request."""
    for name in ("ttft", "tpot", "e2e"):
        sampling.latency(name, due, getattr(one, name))
    if one.sent is not None:
        sampling.latency("ttft_sent", due, None if one.first_token is None else one.first_token - one.sent)
        sampling.latency("e2e_sent", due, None if one.last is None else one.last - one.sent)
    sampling.latency("itl", due, array("d", one.gaps()))


class Sampling:
    """Collects what was observed within a window of so many seconds. Times count from its start."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._latencies: dict[str, list[tuple[float, Sequence[float]]]] = {}
        self._amounts: dict[str, tuple[list[float], list[float]]] = {}

    def latency(self, name: str, at: float, observed: float | Sequence[float] | None) -> None:
        """What was observed of the request that was due then; nothing is left out."""
        values = (observed,) if isinstance(observed, float) else observed
        if values and at >= 0:
            self._latencies.setdefault(name, []).append((at, values))

    def amount(self, name: str, at: float, amount: float) -> None:
        """So much of it came then; what came outside of the window is left out."""
        self.pieces(name, 0.0, ((at, amount),))

    def pieces(self, name: str, begin: float, pieces: Iterable[tuple[float, float]]) -> None:
        """The same of many: when they came, on a clock on which the window starts at `begin`."""
        sums, held = self._amounts.setdefault(name, ([0.0] * BINS, [0.0] * BINS))
        end, scale, last = begin + self._seconds, BINS / self._seconds, BINS - 1
        for at, amount in pieces:
            if begin <= at < end:
                place = min(last, int((at - begin) * scale))
                sums[place] += amount
                held[place] += 1

    def sampled(self) -> Sampled:
        """All of it."""
        return Sampled(self._seconds, self._latencies, self._amounts)
