"""Arrivals follow their laws, exactly repeat by their seed, and split over workers without loss."""

import math
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.traffic.arrivals import ClosedLoop, OpenLoop, Piece, Replay, steady, times
from stoker.traffic.lengths import fixed, parse
from stoker.traffic.traces import TraceRow
from stoker.traffic.workload import Recorded, Synthetic, Workload, sessions

MANY = 4000
# the largest distance that Kolmogorov's law allows in one of 10,000 tests, times the root of the count
KOLMOGOROV = 2.23


def gaps(arrivals: OpenLoop, count: int = MANY, seed: int = 7) -> list[float]:
    found = times(arrivals, Random(seed))
    dues = [next(found) for _ in range(count)]
    return [dues[0], *(after - before for before, after in pairwise(dues))]


def distance(values: list[float], law: Callable[[float], float]) -> float:
    """Kolmogorov and Smirnov's: the largest between the observed and the expected distribution."""
    ordered, count = sorted(values), len(values)
    return max(
        max(abs((rank + 1) / count - law(value)), abs(rank / count - law(value)))
        for rank, value in enumerate(ordered)
    )


@given(st.floats(0.1, 500), st.integers(0, 1000))
@settings(max_examples=20)
def test_poisson_gaps_are_exponential(rate: float, seed: int) -> None:
    found = gaps(steady(rate), seed=seed)
    assert distance(found, lambda x: 1 - math.exp(-rate * x)) < KOLMOGOROV / math.sqrt(MANY)


def test_the_test_can_tell_another_law() -> None:
    found = gaps(steady(5.0, "gamma", 0.5))
    assert distance(found, lambda x: 1 - math.exp(-5 * x)) > KOLMOGOROV / math.sqrt(MANY)


@pytest.mark.parametrize("shape", [2, 3, 5])
def test_gamma_gaps_are_erlang_for_whole_shapes(shape: int) -> None:
    found = gaps(steady(4.0, "gamma", shape))

    def law(x: float) -> float:
        y = 4.0 * shape * x
        return 1 - sum(math.exp(-y) * y**k / math.factorial(k) for k in range(shape))

    assert distance(found, law) < KOLMOGOROV / math.sqrt(MANY)


@pytest.mark.parametrize("shape", [0.2, 0.5, 4.0])
def test_burstiness_keeps_the_rate_and_sets_the_spread(shape: float) -> None:
    found = gaps(steady(10.0, "gamma", shape), 20_000)
    mean = sum(found) / len(found)
    variation = math.sqrt(sum((one - mean) ** 2 for one in found) / len(found)) / mean
    assert mean == pytest.approx(0.1, rel=0.06)
    assert variation == pytest.approx(1 / math.sqrt(shape), rel=0.08)


def test_constant_arrivals_begin_at_once_and_keep_their_distance() -> None:
    found = times(steady(4.0, "constant"), Random(1))
    assert [next(found) for _ in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]


@given(st.floats(0, 20), st.floats(0.5, 20), st.floats(1, 60))
@settings(max_examples=50)
def test_a_ramp_brings_as_many_as_its_area(low: float, high: float, seconds: float) -> None:
    ramp = OpenLoop((Piece(seconds, low, high),), "constant")
    workload = Workload(ramp, duration=seconds)
    dues = [one.at or 0.0 for one in sessions(workload)]
    assert abs(len(dues) - seconds * (low + high) / 2) <= 1
    for number, due in enumerate(dues):
        area = low * due + (high - low) * due * due / (2 * seconds)
        assert area == pytest.approx(number, abs=1e-6 * (1 + number))


def test_steps_change_the_rate_at_their_times() -> None:
    steps = OpenLoop((Piece(10, 2, 2), Piece(5, 8, 8)), "constant")
    dues = [one.at or 0.0 for one in sessions(Workload(steps, duration=20.0))]
    assert [sum(a <= due < b for due in dues) for a, b in ((0, 10), (10, 15), (15, 20))] == [20, 40, 40]


def test_a_step_without_requests_is_silent() -> None:
    quiet = OpenLoop((Piece(5, 2, 2), Piece(5, 0, 0), Piece(5, 2, 2)), "poisson")
    dues = [one.at or 0.0 for one in sessions(Workload(quiet, duration=15.0, seed=3))]
    assert not [due for due in dues if 5 <= due < 10]
    assert [due for due in dues if due >= 10]


@given(st.integers(0, 10**6), st.integers(1, 7))
@settings(max_examples=25)
def test_workers_share_a_workload_without_loss(seed: int, workers: int) -> None:
    made = Synthetic(parse("8..64"), parse("normal(16,8)"), prefixes=3, prefix=16, turns=parse("1..3"))
    workload = Workload(steady(20.0), made, duration=5.0, seed=seed)
    whole = list(sessions(workload))
    shared = [one for worker in range(workers) for one in sessions(workload, worker, workers)]
    assert sorted(shared, key=lambda one: one.index) == whole
    assert whole == list(sessions(workload))


@given(st.integers(2, 40), st.integers(1, 500))
def test_a_limit_is_exact(rate: int, limit: int) -> None:
    assert len(list(sessions(Workload(steady(rate), limit=limit)))) == limit


def test_another_seed_is_another_workload() -> None:
    first, second = (list(sessions(Workload(steady(5.0), duration=20, seed=seed))) for seed in (1, 2))
    assert [one.at for one in first] != [one.at for one in second]


def test_a_replay_has_the_traces_times_at_its_speed() -> None:
    rows = tuple(TraceRow(at, 10, 5) for at in (0.0, 1.0, 4.0))
    found = list(sessions(Workload(Replay(2.0), Recorded(rows))))
    assert [one.at for one in found] == [0.0, 0.5, 2.0]


def test_a_trace_may_come_at_other_times() -> None:
    rows = tuple(TraceRow(at, 10 + at, 5) for at in range(3))
    found = list(sessions(Workload(steady(1.0, "constant"), Recorded(rows))))
    assert [(one.at, one.turns[0].input) for one in found] == [(0.0, 10), (1.0, 11), (2.0, 12)]


def test_equal_blocks_are_equal_parts_and_lengths_are_kept() -> None:
    rows = (TraceRow(0, 1200, 5, (7, 8, 9)), TraceRow(1, 1030, 5, (7, 8, 10)), TraceRow(2, 2000, 5, (7,)))
    found = [one.turns[0] for one in sessions(Workload(Replay(), Recorded(rows)))]
    assert [turn.input for turn in found] == [1200, 1030, 2000]
    assert found[0].parts[:2] == found[1].parts[:2]
    assert found[0].parts[2].key != found[1].parts[2].key
    assert found[2].parts[0] == found[0].parts[0]


def test_a_closed_loops_conversations_have_no_times() -> None:
    found = sessions(Workload(ClosedLoop(4), Synthetic(fixed(8), fixed(4)), limit=3))
    assert [one.at for one in found] == [None, None, None]
