"""The search for the capacity finds it in servers whose capacity is known."""

from random import Random

import pytest

from stoker.bench.sweep import Sweep
from stoker.traffic.capacity import LoadStep, capacity, merged, next_level, next_users, step, wilson
from stoker.traffic.measures import Window, summarize
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.records import RequestRecord
from stoker.ui.report.sweep_text import text

SHARE = 0.95


def tried(level: float, attainment: float, count: int = 200, seed: int = 0) -> LoadStep:
    """A step of a server of which that share of requests keeps the objectives."""
    random = Random(f"{level}/{seed}")
    batches = []
    for _ in range(10):
        kept = sum(random.random() < attainment for _ in range(count // 10))
        batches.append((kept, count // 10))
    return LoadStep(level, tuple(batches), limits=("ttft",) if attainment < SHARE else ())


def searched(true: float, start: float, precision: float = 0.08) -> list[LoadStep]:
    steps: list[LoadStep] = []
    level: float | None = start
    while level is not None:
        steps.append(tried(level, 0.999 if level <= true else 0.5))
        level = next_level(steps, SHARE, precision, 0.01, 10_000)
    return steps


@pytest.mark.parametrize("true", [0.07, 1.0, 7.7, 333.0])
@pytest.mark.parametrize("start", [0.5, 20.0])
def test_the_search_ends_near_a_sharp_edge(true: float, start: float) -> None:
    steps = searched(true, start)
    assert len(steps) <= 20
    found = capacity(steps, SHARE)
    assert found.level is not None
    assert found.level == pytest.approx(true, rel=0.09)
    assert found.low <= found.level <= found.high
    assert found.limits == ("ttft",)


def test_no_level_keeps_them() -> None:
    steps = [tried(level, 0.2) for level in (1.0, 0.5)]
    assert capacity(steps, SHARE).level is None


def test_nothing_higher_was_tried() -> None:
    found = capacity([tried(1.0, 1.0), tried(2.0, 1.0)], SHARE)
    assert (found.level, found.bounded) == (2.0, False)


def test_a_server_that_does_not_keep_up_has_no_capacity_there() -> None:
    saturated = LoadStep(4.0, ((50, 50),) * 4, keeps_up=False, limits=("throughput",))
    found = capacity([tried(2.0, 1.0), saturated], SHARE)
    assert found.level is not None
    assert 2.0 <= found.level < 4.0
    assert found.limits == ("throughput",)


def test_steps_that_the_load_generator_spoiled_count_for_nothing() -> None:
    spoiled = LoadStep(1.0, ((0, 100),) * 10, believable=False)
    assert capacity([spoiled, tried(2.0, 1.0)], SHARE).level == 2.0


def test_what_was_kept_though_the_load_generator_was_late_counts() -> None:
    late = LoadStep(4.0, ((100, 100),) * 10, believable=False)
    assert capacity([tried(2.0, 1.0), late], SHARE).level == 4.0


def test_a_slope_is_crossed_where_it_crosses() -> None:
    slope = {1.0: 1.0, 2.0: 0.99, 4.0: 0.91, 8.0: 0.3}
    found = capacity([tried(level, share, 4000) for level, share in slope.items()], SHARE)
    assert found.level is not None
    assert found.level == pytest.approx(2 * 2**0.5, rel=0.1)


def test_the_interval_covers_the_truth_most_of_the_time() -> None:
    covered = 0
    for seed in range(60):
        levels = {1.0: 0.999, 2.0: 0.99, 4.0: 0.91, 8.0: 0.5}
        found = capacity([tried(level, share, 500, seed) for level, share in levels.items()], SHARE, seed)
        covered += found.low <= 2 * 2**0.5 <= found.high
    assert covered >= 48


def test_batches_that_differ_widen_the_interval() -> None:
    even = LoadStep(1.0, ((9, 10),) * 10)
    uneven = LoadStep(1.0, ((10, 10),) * 9 + ((0, 10),))
    assert even.attainment == uneven.attainment
    assert uneven.interval()[0] < even.interval()[0]
    assert uneven.undecided(SHARE)


def test_users_are_whole_and_the_search_for_them_ends() -> None:
    for true in (1, 2, 5, 23, 64, 100):
        steps = [tried(1.0, 1.0)]
        level: int | None = 4
        while level is not None:
            steps.append(tried(level, 1.0 if level <= true else 0.1))
            level = next_users(steps, SHARE, 4096)
        good = max(round(one.level) for one in steps if one.meets(SHARE))
        assert good == true


def test_wilsons_interval_at_its_ends() -> None:
    assert wilson(0.5, 0) == (0.0, 1.0)
    low, high = wilson(1.0, 100)
    assert (low, high) == (pytest.approx(0.963, abs=0.001), pytest.approx(1.0))


def test_a_sweep_ends_in_targets_for_an_autoscaler() -> None:
    kept = LoadStep(8.0, ((20, 20),), running=11.7, waiting=2.4)
    untold = LoadStep(9.0, ((20, 20),))
    over = LoadStep(16.0, ((2, 20),), running=16.0, waiting=30.0, limits=("ttft",))
    steps = (kept, untold, over)
    sweep = Sweep("rate", steps, capacity(steps, SHARE), LatencyObjectives(ttft=1.0), SHARE)
    assert sweep.scaling == {"batch-size": 10.0, "queue-depth": 2.0}
    words = "scaling: {metrics: {batch-size: 10, queue-depth: 2}}   (11.7 ran in an engine at 8, 2.4 waited)"
    assert f"scale on    {words}" in text(sweep)
    idle = Sweep("rate", (untold,), capacity((untold,), SHARE), LatencyObjectives(), SHARE)
    assert idle.scaling == {}
    assert "scale on" not in text(idle)
    assert merged(kept, untold).running == 11.7


@pytest.mark.parametrize(("users", "tells"), [(8.0, True), (10.0, True), (64.0, False)])
def test_users_of_whom_not_each_was_measured_tell_nothing(users: float, tells: bool) -> None:
    """Those who come back within the test are the ones that were answered first."""
    records = [RequestRecord(n, 2.0 + n, 2.0 + n, times=(2.5 + n, 3.0 + n), last=3.0 + n) for n in range(10)]
    summary = summarize(records, Window(0.0, 20.0, "all"), LatencyObjectives(ttft=1.0))
    found = step(users, records, summary, LatencyObjectives(ttft=1.0), open_loop=False)
    assert found.attainment == 1.0
    assert found.meets(0.99) is tells
    assert found.limits == (() if tells else ("duration",))
    assert step(users, records, summary, None, open_loop=True).limits in ((), ("throughput",))
