"""Laws of the simulated engine: rows of steps that are taken together are the same as one by one, and what
comes in goes out."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.simulating import USUAL, Ask, drive, random_asks, random_limits

from stoker.simulator.engine import Engine
from stoker.simulator.request import Request

SEEDS = st.integers(0, 10**9)
Ran = tuple[Engine, list[Request]]


def both(seed: int, leaving: bool = False) -> tuple[list[Ask], Ran, Ran]:
    """A random engine under random requests, with rows of steps and without."""
    random = Random(seed)
    limits, asks = random_limits(random), random_asks(random, leaving=leaving)
    profile = replace(USUAL, api_token=random.choice((0.0, 0.0, 2e-4)))
    return asks, drive(asks, limits, profile), drive(asks, limits, profile, merged=False)


def same(merged: Ran, single: Ran) -> None:
    """Whether both saw the same, to rounding."""
    (ours, mine), (theirs, others) = merged, single
    for one, other in zip(mine, others, strict=True):
        assert (one.written, one.preemptions, one.cached) == (other.written, other.preemptions, other.cached)
        assert one.first == pytest.approx(other.first, abs=1e-7)
        assert one.last_at == pytest.approx(other.last_at, abs=1e-7)
    assert (ours.steps, ours.generated, ours.prompts) == (theirs.steps, theirs.generated, theirs.prompts)
    assert (ours.preemptions, ours.ttft_count) == (theirs.preemptions, theirs.ttft_count)
    assert ours.busy == pytest.approx(theirs.busy, abs=1e-6)
    assert ours.ttft_sum == pytest.approx(theirs.ttft_sum, abs=1e-6)
    assert ours.ends is not None
    assert theirs.ends is not None
    assert list(ours.ends) == pytest.approx(list(theirs.ends), abs=1e-7)
    mine_gaps, their_gaps = ours.gaps.spread(), theirs.gaps.spread()
    assert mine_gaps.count == their_gaps.count
    assert mine_gaps.mean == pytest.approx(their_gaps.mean, abs=1e-9)
    assert mine_gaps.most == pytest.approx(their_gaps.most, abs=1e-7)
    for name in ("p50", "p90", "p99"):  # known to a bin of one percent
        assert getattr(mine_gaps, name) == pytest.approx(getattr(their_gaps, name), rel=0.011)


@settings(max_examples=40)
@given(SEEDS)
def test_rows_of_steps_are_the_same_as_step_by_step(seed: int) -> None:
    _, merged, single = both(seed)
    same(merged, single)


@settings(max_examples=40)
@given(SEEDS)
def test_rows_are_the_same_where_clients_leave(seed: int) -> None:
    _, merged, single = both(seed, leaving=True)
    same(merged, single)


@settings(max_examples=40)
@given(SEEDS)
def test_what_came_in_went_out(seed: int) -> None:
    asks, (engine, requests), _ = both(seed, leaving=True)
    for one, (_, _, output, _, leaves) in zip(requests, asks, strict=True):
        if one.failed is None:
            assert one.written == min(output, 512 - one.prompt)
            assert one.first is not None
            assert one.last_at is not None
            assert one.due < one.first <= one.last_at
        else:
            assert leaves is not None
            assert one.written <= output
    assert engine.generated == sum(one.written for one in requests)
    assert not engine.state.running
    assert not engine.state.waiting
    assert engine.state.blocks.free == engine.state.blocks.total
    assert engine.ends is not None
    assert list(engine.ends) == sorted(engine.ends)
    assert len(engine.ends) == engine.steps


def test_cases_are_among_them_that_preempt_share_and_leave() -> None:
    preempted = shared = left = 0
    for seed in range(20):
        _, (engine, requests), _ = both(seed, leaving=True)
        preempted += engine.preemptions
        shared += sum(one.cached > 0 for one in requests)
        left += sum(one.failed is not None for one in requests)
    assert preempted > 20
    assert shared > 20
    assert left > 20
