"""Those that only decode, taken together: the same as each by itself, step by step."""

from __future__ import annotations

import math
from random import Random

import pytest

from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import SchedulerLimits, suits
from stoker.simulator import engine as simulated
from stoker.simulator.engine import Engine
from stoker.simulator.gaps import Gaps
from stoker.simulator.request import Request

PACE = EngineProfile(0.01, 2e-5, 1e-4, 1e-7)


def limits(chance: Random) -> SchedulerLimits:
    """An engine of any size, often too small for its requests."""
    return SchedulerLimits(
        num_gpu_blocks=chance.choice((40, 60, 100, 4000)),
        max_model_len=512,
        max_num_seqs=chance.choice((4, 16, 64)),
        max_num_batched_tokens=chance.choice((64, 128, 2048)),
        async_scheduling=chance.random() < 0.5,
        enable_prefix_caching=chance.random() < 0.5,
        watermark=chance.choice((0.0, 0.05)),
        scheduler_reserve_full_isl=chance.random() < 0.7,
    )


def requests(chance: Random) -> list[Request]:
    """Some that share their beginnings, some of a single token."""
    now, out = 0.0, []
    for number in range(50):
        now += chance.expovariate(chance.choice((5, 50, 200)))
        prompt, answer = chance.randint(1, 200), chance.choice((1, 2, 17, chance.randint(1, 200)))
        shared = chance.random() < 0.3
        content = tuple((chance.randrange(2), end) for end in range(16, prompt + 1, 16)) if shared else ()
        out.append(Request(number, prompt, answer, now, content=content))
    return out


def served(engine: Engine, asked: list[Request]) -> None:
    """All of them, to the end."""
    left = list(reversed(asked))
    while left or engine.due < math.inf:
        if left and left[-1].due <= engine.due:
            one = left.pop()
            engine.enter(one, one.due)
        else:
            engine.turn(engine.due)


def course(seed: int, monkeypatch: pytest.MonkeyPatch, together: bool) -> tuple[list[Request], Engine]:
    """A seed's requests on a seed's engine: decodes together and many steps at once, or step by step."""
    with monkeypatch.context() as patch:
        if not together:
            patch.setattr(simulated, "suits", lambda _: False)
            patch.setattr(simulated, "steady", lambda _: 0)
        chance = Random(f"cohort {seed}")
        engine = Engine(limits(chance), PACE, Gaps(), logged=True)
        asked = requests(chance)
        served(engine, asked)
    return asked, engine


@pytest.mark.parametrize("seed", range(40))
def test_a_cohort_is_the_same_as_each_by_itself(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, engine = course(seed, monkeypatch, together=True)
    theirs, plain = course(seed, monkeypatch, together=False)
    assert [one.first for one in ours] == pytest.approx([one.first for one in theirs])
    assert [one.last_at for one in ours] == pytest.approx([one.last_at for one in theirs])
    assert [one.preemptions for one in ours] == [one.preemptions for one in theirs]
    assert [one.cached for one in ours] == [one.cached for one in theirs]
    assert (engine.steps, engine.generated, engine.preemptions) == (
        plain.steps,
        plain.generated,
        plain.preemptions,
    )
    assert engine.busy == pytest.approx(plain.busy)
    assert list(engine.ends or ()) == pytest.approx(list(plain.ends or ()))
    mine, other = engine.gaps.spread(), plain.gaps.spread()
    assert (mine.count, mine.most) == (other.count, pytest.approx(other.most))
    assert mine.mean == pytest.approx(other.mean)
    assert engine.state.blocks.free == engine.state.blocks.total


def test_the_seeds_hold_preemptions_and_both_ways_of_scheduling(monkeypatch: pytest.MonkeyPatch) -> None:
    engines = [course(seed, monkeypatch, together=True)[1] for seed in range(12)]
    assert {one.state.limits.async_scheduling for one in engines} == {True, False}
    assert sum(one.preemptions for one in engines) > 10


def test_it_has_them_all_while_nobody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
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
