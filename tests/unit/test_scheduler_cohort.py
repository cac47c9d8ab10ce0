"""Those that only decode, taken together. That it is the same as each by itself, step by step, is
tests/property/test_simulator_engine.py."""

import math

import pytest

from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import SchedulerLimits, suits
from stoker.simulator.engine import Engine
from stoker.simulator.gaps import Gaps
from stoker.simulator.request import Request

PACE = EngineProfile(0.01, 2e-5, 1e-4, 1e-7)


def test_it_has_them_all_while_nobody_comes() -> None:
    engine = Engine(SchedulerLimits(1000, 512), PACE, Gaps())
    for number in range(20):
        engine.enter(Request(number, 10, 100, 0.0), 0.0)
    engine.turn(engine.due)
    engine.turn(engine.due)
    assert engine.state.aside == 20
    assert not engine.state.running


@pytest.mark.parametrize(
    "other",
    [{"policy": "priority"}, {"long_prefill_token_threshold": 64}, {"pipeline_parallel_size": 2}],
)
def test_other_ways_of_scheduling_have_none(other: dict[str, object]) -> None:
    assert suits(SchedulerLimits(100, 512))
    assert not suits(SchedulerLimits(100, 512, **other))  # type: ignore[arg-type]


def test_who_leaves_takes_its_own_counts_along() -> None:
    engine = Engine(SchedulerLimits(1000, 512), PACE, Gaps())
    asked = [Request(number, 10, 100, 0.0) for number in range(5)]
    for one in asked:
        engine.enter(one, 0.0)
    for _ in range(2):
        engine.turn(engine.due)
    engine.leave(asked[2], engine.last + 0.1)
    while engine.due < math.inf:
        engine.turn(engine.due)
    assert [one.written for one in asked if one is not asked[2]] == [100] * 4
    assert 5 < asked[2].written < 15  # of a step each hundredth of a second
    assert engine.state.blocks.free == engine.state.blocks.total
