"""Replicas of one machine: they slow each other down, as much as their profile says, and a test of them finds
how much."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.simulating import ROOMY, open_load, ran

from stoker.engine.profile import EngineProfile
from stoker.simulator.fleet import Fleet
from stoker.simulator.run import simulate
from stoker.simulator.scenario import Scenario, Starting
from stoker.traffic import profiling
from stoker.traffic.gaps import known
from stoker.traffic.lengths import Lengths, fixed
from stoker.traffic.records import RequestRecord
from stoker.traffic.workload import Synthetic
from stoker.units import Range

PACE = EngineProfile(0.02, 0.0001, 0.0005, shared=0.25)
ONE = Synthetic(fixed(16), fixed(101))
SOME = Synthetic(Lengths("uniform", 50, 200), Lengths("uniform", 20, 60))


def made(workload: Any, replicas: int, **more: Any) -> Scenario:
    return Scenario(ROOMY, PACE, workload, Range(replicas, replicas), together=True, **more)


def records(scenario: Scenario) -> list[RequestRecord]:
    found = simulate(scenario).run.records
    return [replace(one, input=one.wanted) for one in found]


def test_one_alone_is_as_quick_as_its_profile() -> None:
    (alone,) = ran(made(open_load(1, prompts=ONE, limit=1), 2)).requests
    (single,) = ran(replace(made(open_load(1, prompts=ONE, limit=1), 1), together=False)).requests
    assert alone.last_at == single.last_at


def test_two_that_compute_slow_each_other_down_while_both_do() -> None:
    first, second = ran(made(open_load(10, prompts=ONE, limit=2), 2)).requests
    assert {first.replica, second.replica} == {1, 2}
    assert first.first is not None
    assert first.last_at is not None
    assert second.last_at is not None
    step = (first.last_at - first.first) / 100
    # 20.5 ms alone, 25.6 ms beside the other one, which came later and ends later
    assert 0.0205 < step < 0.0205 * 1.25
    assert second.last_at > first.last_at
    apart = ran(replace(made(open_load(10, prompts=ONE, limit=2), 2), together=False)).requests[0]
    assert apart.first is not None
    assert apart.last_at is not None
    assert (apart.last_at - apart.first) / 100 == pytest.approx(0.0205, rel=0.01)


def test_a_replica_that_starts_takes_its_share_too() -> None:
    starting = Starting((("Starting", 1.0),))
    scenario = made(open_load(10, prompts=ONE, limit=1), 1, starting=starting)
    alone, beside = Fleet(scenario), Fleet(scenario)
    beside.clock.at(0.0, lambda now: beside.scale(2, now))
    alone.run()
    beside.run()
    took = [one.requests[0].last_at for one in (alone, beside)]
    assert took[0] is not None
    assert took[1] is not None
    # the start takes a second, in which steps take a quarter longer: a fifth of them less
    assert took[1] - took[0] == pytest.approx(0.2, abs=0.05)


def test_a_test_of_both_finds_it() -> None:
    seen = records(made(open_load(2, prompts=SOME, seconds=200), 2))
    assert known(seen)
    found = profiling.fitted(seen)
    assert found is not None
    assert found.shared == pytest.approx(0.25, rel=0.2)
    assert found.base == pytest.approx(0.02, rel=0.1)
    assert found.error is not None
    assert found.error < 0.06


def test_replicas_apart_are_found_to_share_nothing() -> None:
    found = profiling.fitted(
        records(replace(made(open_load(2, prompts=SOME, seconds=200), 2), together=False))
    )
    assert found is not None
    assert found.shared < 0.03
