"""`simulate`: a scenario run once or several times, and what comes of it."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from stoker.findings import Finding
from stoker.simulator.checks import refused, told
from stoker.simulator.fleet import Fleet
from stoker.simulator.gaps import Gaps
from stoker.simulator.request import Request
from stoker.simulator.scaling import Decided
from stoker.simulator.scenario import Scenario
from stoker.simulator.spent import spent
from stoker.simulator.summary import summarize
from stoker.simulator.timeline import MOMENTS, Timeline
from stoker.simulator.use import FleetUse, use_of
from stoker.traffic.measures import Summary, Window
from stoker.traffic.records import Failure, RequestRecord
from stoker.traffic.run import Environment, Moment, Run
from stoker.traffic.student import quantile
from stoker.traffic.workload import Recorded

NOWHERE = Environment()
RECORDS = 20_000  # requests that are kept one by one
SURE = 0.95
WORDS = {
    "refused": "no replica was ready, and the Service holds no request",
    "status": "503: no replica was ready in time",
    "stream-error": "its replica ended while it was answered",
    "timeout": "its client gave up",
    "cut": "its replica ended, and it was sent too often",
}
TOO_LONG = "400: its prompt leaves no room for an answer within max-model-len"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure over several seeds: its mean, and where that lies at 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation shows. run: of the first seed. use: what the fleet of that seed used, decisions what
    its autoscaler did. figures: over all seeds, seconds and shares; seeds: how many. spent: what engines
    computed for. given_up: whether a course was ended early."""

    run: Run
    use: FleetUse
    decisions: tuple[Decided, ...]
    figures: Mapping[str, Interval]
    seeds: int
    band: float | None = None
    dollars_a_million: float | None = None
    given_up: bool = False
    spent: Mapping[str, float] = field(default_factory=dict)


def simulate(
    scenario: Scenario,
    *,
    seeds: int = 1,
    detail: bool = True,
    enough: float | None = None,
    words: Mapping[str, Any] | None = None,
    environment: Environment = NOWHERE,
    report: Callable[[int], None] = lambda _: None,
) -> Simulated:
    """Runs it with so many seeds. detail: whether requests and moments are kept, of the first one.

    enough: how many requests may break an objective before a course is given up; it then says less, and
    `given_up`. words: the workload as it was asked for. Raises: UsageError, for a workload that says too
    little.
    """
    ends = []
    for seed in range(seeds):
        report(seed)
        ends.append(_once(_seeded(scenario, seed), seed, detail and not seed, enough))
    first = ends[0]
    run = _run(scenario, first, words or {}, environment)
    rows = [_figures(one) for one in ends]
    names = [name for name in rows[0] if all(row.get(name) is not None for row in rows)]
    figures = {name: interval([row[name] for row in rows]) for name in names}  # type: ignore[misc]
    return Simulated(
        run,
        first.use,
        tuple(first.decisions),
        figures,
        seeds,
        scenario.profile.error,
        _per_million(first),
        any(one.given_up for one in ends),
        spent(scenario.profile, first.summary, first.use.mean),
    )


@dataclass(slots=True)
class End:
    """One course of it."""

    summary: Summary
    use: FleetUse
    decisions: list[Decided]
    records: tuple[RequestRecord, ...] = ()
    moments: tuple[Moment, ...] = ()
    findings: tuple[Finding, ...] = ()
    tokens: float = 0.0
    given_up: bool = False
    requests: list[Request] = field(default_factory=list)


def _seeded(scenario: Scenario, seed: int) -> Scenario:
    workload = scenario.workload
    return (
        replace(scenario, workload=replace(workload, seed=workload.seed + 1000 * seed)) if seed else scenario
    )


def _once(scenario: Scenario, seed: int, detail: bool, enough: float | None) -> End:
    fleet, timeline = Fleet(scenario, seed, detail, enough), Timeline()
    if detail:
        tick = max(1.0, _length(scenario) / MOMENTS)
        fleet.clock.every(tick, lambda now: timeline.look(fleet, now))
    fleet.run()
    window = _window(scenario, fleet)
    gaps = Gaps()
    for pod in (*fleet.pods, *fleet.gone):
        for engine in pod.engines:
            gaps.merge(engine.gaps)
    summary = summarize(fleet.requests, gaps, window, scenario.objectives)
    found = End(summary, use_of(fleet), fleet.scaler.decisions)
    found.given_up = fleet.given_up
    found.findings = (*scenario.findings, *told(scenario.workload, scenario.limits, fleet.requests))
    found.tokens = sum(one.written for one in fleet.requests)
    if detail and len(fleet.requests) <= RECORDS:
        found.records = records(fleet)
    if detail:
        found.moments = tuple(timeline.moments)
    return found


def _length(scenario: Scenario) -> float:
    """About how long it goes."""
    workload = scenario.workload
    if workload.duration < math.inf:
        return workload.duration
    if isinstance(workload.prompts, Recorded) and workload.prompts.rows:
        return workload.prompts.rows[-1].at
    return 600.0


def _window(scenario: Scenario, fleet: Fleet) -> Window:
    """What is measured: after the warm-up, until no new requests come."""
    workload = scenario.workload
    start = workload.warmup
    if workload.duration < math.inf:
        end = workload.duration
        return Window(start, end, f"requests due from {start:g} s to {end:g} s")
    end = max((one.last_at for one in fleet.requests if one.last_at is not None), default=start)
    return Window(start, end + 1e-9, f"requests due from {start:g} s to the last answer at {end:.1f} s")


def _run(scenario: Scenario, end: End, words: Mapping[str, Any], environment: Environment) -> Run:
    price = scenario.pool.price
    hours = end.use.node_hours / (end.use.seconds / 3600) if end.use.seconds else 0.0
    return Run(
        "simulated",
        scenario.name,
        scenario.model,
        "",
        0.0,
        words,
        end.summary,
        scenario.objectives,
        scenario.share,
        environment=replace(environment, price=None if price is None else round(price * hours, 6)),
        findings=end.findings,
        profile=scenario.profile,
        records=end.records,
        timeline=end.moments,
    )


def _per_million(end: End) -> float | None:
    """Dollars a million output tokens, of everything that was paid for."""
    cost = end.use.cost
    return None if cost is None or not end.tokens else cost / end.tokens * 1e6


def _figures(end: End) -> dict[str, float | None]:
    found, use = end.summary, end.use
    out: dict[str, float | None] = {}
    for name in ("ttft", "itl", "tpot", "e2e"):
        one = getattr(found, name)
        out |= {f"{name}_p50": one.p50, f"{name}_p90": one.p90, f"{name}_p99": one.p99} if one.count else {}
    return out | {
        "attainment": found.attainment,
        "goodput": found.goodput,
        "completed": found.completed,
        "output_rate": found.output_rate,
        "failed": found.failed / found.requests if found.requests else None,
        "replicas": use.mean,
        "most_replicas": float(use.most),
        "replica_hours": use.replica_hours,
        "gpu_hours": use.gpu_hours,
        "cost": use.cost,
        "wasted": use.wasted,
        "dollars_a_million": _per_million(end),
    }


def interval(values: Sequence[float]) -> Interval:
    """The mean of values of different seeds, and its 95 % interval by Student's t."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Interval(mean, mean, mean)
    variance = math.fsum((one - mean) ** 2 for one in values) / (count - 1)
    off = quantile(SURE, count - 1) * math.sqrt(variance / count)
    return Interval(mean, mean - off, mean + off)


def records(fleet: Fleet) -> tuple[RequestRecord, ...]:
    """All requests as a measured run has them, with the time of each token."""
    ends: dict[int, array[float]] = {
        pod.number: array("d", [at for one in pod.engines for at in one.ends or ()])
        for pod in (*fleet.pods, *fleet.gone)
    }
    return tuple(_record(one, ends.get(one.replica), fleet.scenario) for one in fleet.requests)


def _record(one: Request, ends: array[float] | None, scenario: Scenario) -> RequestRecord:
    return RequestRecord(
        one.index,
        one.due,
        one.due,
        one.first,
        _times(one, ends),
        None,
        one.last_at,
        one.prompt if one.first is not None else None,
        one.written if one.failed is None else None,
        one.cached or None,
        one.prompt,
        one.session,
        one.turn,
        str(one.replica) if one.replica else "",
        _failure(one, scenario),
    )


def _failure(one: Request, scenario: Scenario) -> Failure | None:
    if one.failed is None:
        return None
    if one.failed == "status" and refused(scenario.limits, one):
        return Failure(one.failed, TOO_LONG, 400)
    return Failure(one.failed, WORDS.get(one.failed, ""), 503 if one.failed == "status" else None)


def _times(one: Request, ends: array[float] | None) -> array[float]:
    """When its tokens came: at the ends of its engine's steps; evenly where it was held up in between."""
    from bisect import bisect_left, bisect_right

    if one.first is None or one.last_at is None or not one.written:
        return array("d")
    if ends:
        begin = bisect_left(ends, one.first - one.beside - 1e-9)
        end = bisect_right(ends, one.last_at - one.beside + 1e-9)
        if end - begin == one.written:
            return array("d", [at + one.beside for at in ends[begin:end]])
    step = (one.last_at - one.first) / max(1, one.written - 1)
    return array("d", [one.first + number * step for number in range(one.written)])
