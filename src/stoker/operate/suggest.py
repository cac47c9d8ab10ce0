"""`suggest`: the cheapest setting of a spec that keeps its objectives under a workload, found by simulation
on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context

from stoker.catalog.gpus import gpus
from stoker.errors import DoesNotFit, StokerError, UsageError
from stoker.events import Progress, Report, silent
from stoker.operate import simulate as simulating
from stoker.operate.simulate import Asked
from stoker.planner.plan import Plan
from stoker.simulator.bounds import expected, least_replicas
from stoker.simulator.choices import Choice, Weighed, weighed
from stoker.simulator.run import simulate
from stoker.simulator.scenario import Scenario
from stoker.simulator.search import Found, Search, Wanted
from stoker.spec.nouns import HardwareSpec, ServeSpec
from stoker.traffic.workload import Workload

MOST = 64
HOPELESS = 4.0  # times as many requests that break an objective as may: then a trial is given up
OWN = "as the file has it"
SEQS = (32, 64, 128, 256, 512)
BATCHES = (1024, 2048, 4096, 8192, 16384)


@dataclass(frozen=True, slots=True)
class Base:
    """A scenario to choose from, the plan behind it, and the fields that make it of the file's spec."""

    scenario: Scenario
    plan: Plan
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What was found, and what it was searched in. left_out: bases that do not fit, with why."""

    found: Found
    bases: Mapping[str, Base]
    left_out: Mapping[str, str]
    share: float


def suggest(
    spec: ServeSpec,
    workload: Workload,
    asked: Asked,
    *,
    any_gpu: bool = False,
    options: bool = True,
    most: int = MOST,
    seeds: int = 5,
    report: Report = silent,
) -> Suggestion:
    """Searches. any_gpu: also other GPUs and layouts than the spec's; options: also the engine's options.

    Raises: UsageError, without objectives; DoesNotFit, where no base can be planned.
    """
    bases, left_out = _bases(spec, workload, asked, any_gpu, options, report)
    first = next(iter(bases.values())).scenario
    if not first.objectives:
        raise UsageError(
            "there is nothing to keep",
            why="neither the file nor --slo says how fast answers are to be",
            fix="--slo ttft=1s,itl=50ms",
            rule="suggest-slo",
        )
    least = {name: least_replicas(base.scenario) for name, base in bases.items()}
    wanted = Wanted(first.share, tuple(bases), _metrics(spec), most, seeds, least)
    tried = 0

    def told(words: str) -> None:
        report(Progress("suggest", f"{words} ({tried} tried)"))

    with _evaluator(bases) as evaluate:

        def counted(choices: Sequence[Choice], each: int) -> list[Weighed]:
            nonlocal tried
            tried += len(choices)
            return evaluate(choices, each)

        found = Search(wanted, counted, told).run()
    return Suggestion(found, bases, left_out, first.share)


def _metrics(spec: ServeSpec) -> tuple[str, ...]:
    """What its autoscaler can be told: requests at the endpoint are counted by Stoker's own gateway."""
    own = spec.target != "kubernetes" or spec.kubernetes.routing == "gateway"
    return ("queue-depth", "batch-size", *(("in-flight",) if own else ()))


# what is chosen from


def _bases(
    spec: ServeSpec, workload: Workload, asked: Asked, any_gpu: bool, options: bool, report: Report
) -> tuple[dict[str, Base], dict[str, str]]:
    out: dict[str, Base] = {}
    left: dict[str, str] = {}
    error: StokerError | None = None
    candidates: list[Candidate] = [(OWN, spec, {})]
    candidates += _hardware(spec) if any_gpu else []
    for name, other, fields in candidates:
        report(Progress("suggest", f"planning {name}"))
        try:
            made, decided = simulating.scenario(other, workload, asked)
        except (DoesNotFit, UsageError) as reason:
            error, left[name] = reason, reason.finding.why or reason.finding.what
            continue
        if name != OWN and made.pool.price is None:
            left[name] = "no page at hand states its price"
            continue
        out[name] = Base(made, decided, fields)
    if not out:
        assert error is not None or left
        raise error or UsageError(
            "no GPU is left to choose from", why=next(iter(left.values())), fix="--price"
        )
    if options and not any_gpu:
        for name, other, fields in _options(spec, next(iter(out.values()))):
            try:
                made, decided = simulating.scenario(other, workload, asked)
            except StokerError as reason:
                left[name] = reason.finding.why or reason.finding.what
                continue
            out[name] = Base(made, decided, fields)
    return out, left


Candidate = tuple[str, ServeSpec, dict[str, object]]


def _hardware(spec: ServeSpec) -> list[Candidate]:
    """Every GPU of the catalog, with the layout that the plan chooses."""
    out: list[Candidate] = []
    for key in gpus():
        own = replace(spec, hardware=HardwareSpec(key))
        out.append((key, own, {"hardware": key}))
    return out


def _options(spec: ServeSpec, base: Base) -> list[Candidate]:
    """Other batches, and twice the GPUs a replica."""
    limits, out = base.scenario.limits, list[Candidate]()
    given = spec.engine.options
    for name, values, now in (
        ("max-num-seqs", SEQS, limits.max_num_seqs),
        ("max-num-batched-tokens", BATCHES, limits.max_num_batched_tokens),
    ):
        if name in given:
            continue
        nearby = [value for value in values if now / 4 <= value <= now * 4 and value != now]
        for value in nearby:
            engine = replace(spec.engine, options={**given, name: value})
            out.append((f"{name} {value:,}", replace(spec, engine=engine), {f"engine.{name}": value}))
    ranks = base.plan.gpus_per_replica
    if base.plan.hardware.gpu_type is not None and spec.hardware.count is None and ranks < 8:
        hardware = replace(spec.hardware, count=ranks * 2)
        key = f"{spec.hardware.gpu}:{ranks * 2}"
        out.append((f"{ranks * 2} GPUs a replica", replace(spec, hardware=hardware), {"hardware": key}))
    return out


# trying, on all cores

_BASES: dict[str, Scenario] = {}


def _begin(bases: dict[str, Scenario]) -> None:
    """Of a process that simulates."""
    _BASES.update(bases)


def _one(task: tuple[Choice, int]) -> Weighed:
    choice, seeds = task
    scenario = choice.of(_BASES[choice.base])
    enough = HOPELESS * (1 - scenario.share) * expected(scenario.workload) if seeds == 1 else None
    return weighed(choice, simulate(scenario, seeds=seeds, detail=False, enough=enough))


@contextmanager
def _evaluator(bases: Mapping[str, Base]) -> Iterator[Callable[[Sequence[Choice], int], list[Weighed]]]:
    """What tries choices. One core needs no other process."""
    scenarios = {name: base.scenario for name, base in bases.items()}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores < 2:
        _begin(scenarios)
        yield lambda choices, seeds: [_one((choice, seeds)) for choice in choices]
        return
    with ProcessPoolExecutor(cores, get_context("spawn"), _begin, (scenarios,)) as pool:
        yield lambda choices, seeds: list(pool.map(_one, [(choice, seeds) for choice in choices]))
