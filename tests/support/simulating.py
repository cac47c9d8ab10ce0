"""Simulated engines and fleets as tests want them: small, and looked at while they run."""

from __future__ import annotations

import contextlib
import math
from collections import abc
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from unittest import mock

from stoker.autoscale.policy import Metric, Policy, Rate, Rules
from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import Ended, SchedulerLimits, Sequence
from stoker.simulator.engine import Engine
from stoker.simulator.fleet import Fleet
from stoker.simulator.gaps import Gaps
from stoker.simulator.request import Request
from stoker.simulator.scenario import Scenario
from stoker.traffic.arrivals import ClosedLoop, Law, OpenLoop, Piece, Replay, steady
from stoker.traffic.lengths import fixed
from stoker.traffic.traces import TraceRow
from stoker.traffic.workload import Recorded, Synthetic, Workload

Ask = tuple[float, int, int, tuple[Any, ...], float | None]  # when, prompt, answer, content, when it leaves

SMALL = Synthetic(fixed(64), fixed(16))
STEADY = EngineProfile(0.02)  # each step alike
USUAL = EngineProfile(0.01, 2e-5, 1e-4, 1e-7)
ROOMY = SchedulerLimits(num_gpu_blocks=4001, max_model_len=4096, max_num_seqs=64)


# one engine


def drive(
    asks: abc.Sequence[Ask], limits: SchedulerLimits, profile: EngineProfile, merged: bool = True
) -> tuple[Engine, list[Request]]:
    """Takes an engine through requests; without `merged` step by step, and sequence by sequence."""
    whole = contextlib.nullcontext() if merged else one_by_one()
    with whole:
        one = Engine(limits, profile, Gaps(), logged=True)
        requests = [
            Request(number, prompt, output, at, content=content)
            for number, (at, prompt, output, content, _) in enumerate(asks)
        ]
        events = [(request.due, 0, request) for request in requests]
        events += [(at, 1, requests[n]) for n, (*_, at) in enumerate(asks) if at is not None]
        for at, leaves, request in sorted(events, key=lambda event: event[:2]):
            _until(one, at)
            if not leaves:
                one.enter(request, at)
            elif request.last_at is None:
                one.leave(request, at)
        _until(one, math.inf)
        for request in requests:
            if request.ended is Ended.ABORT:
                request.failed = "cancelled"
        return one, requests


@contextlib.contextmanager
def one_by_one() -> Iterator[None]:
    """Engines that take no steps together, and no sequences."""
    with (
        mock.patch("stoker.simulator.engine.steady", return_value=0),
        mock.patch("stoker.simulator.engine.suits", return_value=False),
    ):
        yield


def _until(one: Engine, at: float) -> None:
    while one.due < at:
        one.turn(one.due)


def random_limits(random: Random) -> SchedulerLimits:
    """From a cache that is always full to one that never is."""
    return SchedulerLimits(
        num_gpu_blocks=random.choice((40, 100, 400, 4000)),
        max_model_len=512,
        max_num_seqs=random.choice((2, 8, 64)),
        max_num_batched_tokens=random.choice((64, 128, 2048)),
        async_scheduling=random.random() < 0.5,
        enable_prefix_caching=random.random() < 0.5,
    )


def random_asks(random: Random, count: int = 50, leaving: bool = False) -> list[Ask]:
    """Requests of which some begin alike, and some leave before they are done."""
    at, rate, out = 0.0, random.choice((2, 20, 100)), list[Ask]()
    shared = [random.randint(1, 12) for _ in range(3)]
    for number in range(count):
        at += random.expovariate(rate)
        prompt, output = random.randint(1, 200), random.randint(1, 200)
        kind = random.randrange(6)
        content: tuple[Any, ...] = ()
        if kind < 3:
            full = (prompt - 1) // 16
            content = tuple((kind, n) if n < shared[kind] else (number, n, "own") for n in range(full))
        leaves = at + random.expovariate(1) if leaving and random.random() < 0.3 else None
        out.append((at, prompt, output, content, leaves))
    return out


# fleets


def queue_policy(
    low: int, high: int, target: float = 2.0, window: int = 60, name: str = "queue-depth"
) -> Policy:
    """A fleet that grows with its queue."""
    kind = "External" if name == "in-flight" else "Pods"
    down = Rules(window, (Rate("Percent", 100, 15),))
    up = Rules(0, (Rate("Pods", 4, 15), Rate("Percent", 100, 15)))
    return Policy(low, high, (Metric(kind, name, round(target * 1000)),), up, down)  # type: ignore[arg-type]


def open_load(
    rate: float,
    *,
    seconds: float = math.inf,
    limit: int | None = None,
    law: Law = "poisson",
    seed: int = 0,
    prompts: Synthetic = SMALL,
) -> Workload:
    """Requests at one rate."""
    return Workload(steady(rate, law), prompts, seconds, limit, seed)


def waves(low: float, high: float, each: float, count: int, prompts: Synthetic, seed: int = 0) -> Workload:
    """A load that rises and falls."""
    pieces = tuple(Piece(each, rate, rate) for _ in range(count) for rate in (low, high))
    return Workload(OpenLoop(pieces), prompts, 2 * count * each, seed=seed)


def closed_load(
    users: int, *, think: float = 0.0, seconds: float = 60.0, seed: int = 0, prompts: Synthetic = SMALL
) -> Workload:
    """Users in a loop."""
    return Workload(ClosedLoop(users, think), prompts, seconds, seed=seed)


def trace(*rows: tuple[float, int, int]) -> Workload:
    """Requests at their times: when, prompt, answer."""
    return Workload(Replay(), Recorded(tuple(TraceRow(*row) for row in rows)))


def ran(
    scenario: Scenario, seed: int = 0, look: Callable[[Fleet, float], None] | None = None, **more: Any
) -> Fleet:
    """A fleet after its end; `look` is called each second of it."""
    fleet = Fleet(scenario, seed, **more)
    if look is not None:
        seen = look
        fleet.clock.every(1.0, lambda now: seen(fleet, now), 0.5)
    fleet.run()
    return fleet


# laws


def books(fleet: Fleet) -> dict[str, int]:
    """What became of all requests that have come so far."""
    out = dict.fromkeys(("answered", "failed", "cancelled", "waiting", "running"), 0)
    held, running = set(fleet.waiting), {one for pod in fleet.pods for one in pod.running}
    for one in fleet.requests:
        if one.failed is not None:
            out["cancelled" if one.failed == "cancelled" else "failed"] += 1
        elif one.last_at is not None:
            out["answered"] += 1
        else:
            out["waiting"] += one in held
            out["running"] += one in running
    return out


def together(engine: Engine) -> dict[Sequence, int]:
    """Those of an engine that are stepped together, with the blocks that they have by now."""
    cohort = engine._cohort
    if cohort is None:
        return {}
    steps = {one: cohort._clock - begun for one, begun in cohort._members.items()}
    return {one: max(one.blocks, -(-(one.computed + more) // cohort._size)) for one, more in steps.items()}


def balanced(fleet: Fleet, now: float) -> None:
    """At any moment: each request is in one place, none in two, and no block is lost."""
    found = books(fleet)
    assert sum(found.values()) == len(fleet.requests), (now, found)
    assert fleet.open == found["waiting"] + found["running"], now
    for pod in fleet.pods:
        if pod.engine is None:
            assert not pod.running
            continue
        state, cohort = pod.engine.state, together(pod.engine)
        # whose client has left is there until the step that runs has ended
        there = {*state.running, *state.waiting, *cohort} - {*pod.engine._leaving}
        assert there == set(pod.running), (now, pod.id)
        assert 0 <= state.blocks.free <= state.blocks.total
        if not state.limits.enable_prefix_caching:
            held = sum(one.blocks for one in state.running) + sum(cohort.values())
            assert state.blocks.free + held == state.blocks.total
    placed = sum(len(pod.nodes) for pod in fleet.pods)
    assert placed == sum(node.used for node in fleet.nodes.all), now
