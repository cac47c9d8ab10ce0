"""Steps of the scheduler, situation by situation; tests/engine holds all of it against vLLM's own class."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from stoker.engine.scheduler import (
    Batch,
    Ended,
    SchedulerLimits,
    Sequence,
    State,
    abort,
    advance,
    commit,
    steady,
    step,
)

ROOMY: dict[str, Any] = {"num_gpu_blocks": 101, "max_model_len": 100, "block_size": 4, "max_num_seqs": 8}


def limits(**options: Any) -> SchedulerLimits:
    return SchedulerLimits(**{**ROOMY, **options})


def engine(*sequences: Sequence, **options: Any) -> State:
    state = State(limits(**options))
    for sequence in sequences:
        state.add(sequence)
    return state


def seq(id: str, prompt: int, answer: int = 9, **more: Any) -> Sequence:
    return Sequence(id, prompt, answer, **more)


def told(batch: Batch) -> str:
    """A batch in one line: who computes how much, `+` with what the cache spared; who is preempted."""
    words = [
        f"{one.id}:{count}" + (f"+{batch.admitted[one]}" if batch.admitted.get(one) else "")
        for one, count in batch.tokens.items()
    ]
    return " ".join([*words, *(f"-{one.id}" for one in batch.preempted)])


def lines(state: State, steps: int) -> list[str]:
    """So many steps, each committed."""
    seen = []
    for _ in range(steps):
        batch = step(state)
        commit(state, batch)
        seen.append(told(batch))
    return seen


@dataclass
class Case:
    sequences: list[tuple[Any, ...]]
    seen: list[str]
    options: dict[str, Any] = field(default_factory=dict)


SHARED = ("x", "y", "z")
CASES = {
    "a prompt, then a token a step": Case([("a", 5, 3)], ["a:5", "a:1", "a:1", ""]),
    "the budget cuts a prompt, and the rest goes to the next": Case(
        [("a", 12), ("b", 3)], ["a:8", "a:4 b:3", "a:1 b:1"], {"max_num_batched_tokens": 8}
    ),
    "those that run come first": Case(
        [("a", 6), ("b", 20)], ["a:6 b:2", "a:1 b:7", "a:1 b:7", "a:1 b:4"], {"max_num_batched_tokens": 8}
    ),
    "without chunks a prompt waits for a step that has room": Case(
        [("a", 60), ("b", 50)],
        ["a:60", "a:1 b:50"],
        {"max_num_batched_tokens": 100, "enable_chunked_prefill": False},
    ),
    "a long prompt takes only its share, unless it is alone": Case(
        [("a", 12, 1), ("b", 12, 1)],
        ["a:5 b:5", "a:5 b:5", "a:2 b:2"],
        {"long_prefill_token_threshold": 5},
    ),
    "alone it has the whole budget": Case([("a", 12)], ["a:12"], {"long_prefill_token_threshold": 5}),
    "the share grows where few ask": Case(
        [("a", 12), ("b", 12)],
        ["a:8 b:8"],
        {
            "long_prefill_token_threshold": 5,
            "long_prefill_token_threshold_adaptive": True,
            "max_num_batched_tokens": 16,
        },
    ),
    "only so many run": Case(
        [("a", 2, 2), ("b", 2, 2), ("c", 2, 2)], ["a:2 b:2", "a:1 b:1", "c:2"], {"max_num_seqs": 2}
    ),
    "only so many run, though more could": Case(
        [("a", 2, 2), ("b", 2, 2)], ["a:2", "a:1", "b:2"], {"max_num_active_seqs": 1}
    ),
    "the last in is preempted, comes back first and starts again": Case(
        [("a", 4, 5), ("b", 4, 5)],
        ["a:4 b:4", "a:1 -b", "a:1", "a:1", "a:1", "b:5", "b:1"],
        {"num_gpu_blocks": 4, "enable_prefix_caching": False},
    ),
    "it finds its own full blocks again": Case(
        [("a", 4, 3), ("b", 8, 5)], ["a:4 b:8", "a:1 -b", "a:1", "b:1+8"], {"num_gpu_blocks": 5}
    ),
    "nobody is let in before the whole prompt fits": Case(
        [("a", 8, 2), ("b", 8, 2)],
        ["a:4", "a:4", "a:1", "b:4"],
        {"num_gpu_blocks": 4, "max_num_batched_tokens": 4, "max_num_seqs": 4},
    ),
    "or, if told so, as soon as its first chunk fits": Case(
        [("a", 4, 2), ("b", 16, 2)],
        ["a:4 b:1", "a:1 b:4"],
        {
            "num_gpu_blocks": 5,
            "max_num_batched_tokens": 5,
            "max_num_seqs": 4,
            "scheduler_reserve_full_isl": False,
        },
    ),
    "the watermark stays free, but for the first": Case(
        [("a", 16, 2), ("b", 8, 2)], ["a:16", "a:1", "b:8"], {"num_gpu_blocks": 11, "watermark": 0.5}
    ),
    "a shared beginning is computed once": Case(
        [("a", 13, 9, SHARED), ("b", 14, 9, SHARED)], ["a:13 b:2+12", "a:1 b:1"]
    ),
    "the last token is always computed": Case(
        [("a", 12, 9, SHARED), ("b", 12, 9, SHARED)], ["a:12 b:4+8", "a:1 b:1"]
    ),
    "a block in the middle of a prefill is found as soon as it is scheduled": Case(
        [("a", 13, 9, SHARED), ("b", 13, 9, SHARED)],
        ["a:9 b:5+8", "a:4 b:1"],
        {"long_prefill_token_threshold": 9},
    ),
    "nothing is found where nothing is kept": Case(
        [("a", 13, 9, SHARED), ("b", 14, 9, SHARED)], ["a:13 b:14"], {"enable_prefix_caching": False}
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    case = CASES[name]
    sequences = [seq(*one[:3], content=one[3] if len(one) > 3 else ()) for one in case.sequences]
    state = engine(*sequences, **case.options)
    assert lines(state, len(case.seen)) == case.seen


def test_the_important_run_at_the_cost_of_others_that_had_their_tokens() -> None:
    low, high = seq("low", 8, priority=5), seq("high", 3, 6, priority=0)
    state = engine(low, num_gpu_blocks=4, policy="priority", enable_prefix_caching=False)
    commit(state, step(state))
    state.add(high)
    assert told(step(state)) == "low:1"  # its third block: none is left for the other
    abort(state, low)
    assert lines(state, 3) == ["high:3", "high:1", "high:1"]


def test_a_victim_gives_its_tokens_of_this_step_back() -> None:
    low, high = seq("low", 4, priority=5), seq("high", 8, priority=0)
    state = engine(num_gpu_blocks=5, policy="priority", max_num_batched_tokens=8)
    state.add(low)
    commit(state, step(state))
    state.add(high)
    assert lines(state, 2) == ["low:1 high:7", "low:1 high:1"]
    assert state.blocks.free == 0
    assert lines(state, 2) == ["high:1 -low", "high:1"]


def test_the_important_are_let_in_first() -> None:
    late, early = seq("late", 3, priority=1), seq("early", 3, priority=1, arrival=-1.0)
    best = seq("best", 3, priority=0, arrival=7.0)
    state = engine(late, early, best, policy="priority")
    assert told(step(state)) == "best:3 early:3 late:3"


@pytest.mark.parametrize(
    ("more", "written", "why"),
    [
        ({}, 5, Ended.LENGTH),
        ({"stops_at": 3}, 3, Ended.STOP),
        ({"stops_at": 5}, 5, Ended.STOP),
        ({"stops_at": 7}, 5, Ended.LENGTH),
    ],
)
def test_an_answer_ends(more: dict[str, int], written: int, why: Ended) -> None:
    one = seq("a", 4, 5, **more)
    state = engine(one)
    lines(state, 7)
    assert (one.written, one.ended) == (written, why)
    assert state.unfinished == 0
    assert state.blocks.free == state.blocks.total == 100


def test_an_answer_ends_where_the_context_does() -> None:
    one = seq("a", 96, 50)
    lines(engine(one), 6)
    assert (one.tokens, one.ended) == (100, Ended.LENGTH)


def test_who_ended_is_told_by_the_next_step() -> None:
    one = seq("a", 4, 1)
    state = engine(one)
    assert commit(state, step(state)) == [one]
    batch = step(state)
    assert batch.finished == [one]
    assert not batch
    assert step(state).finished == []


def test_a_client_that_leaves_gets_no_more() -> None:
    runs, waits = seq("a", 4), seq("b", 4)
    state = engine(runs, waits, max_num_seqs=1)
    batch = step(state)
    abort(state, runs)
    abort(state, waits)
    abort(state, waits)
    assert commit(state, batch) == []
    assert (runs.written, runs.ended, waits.ended) == (0, Ended.ABORT, Ended.ABORT)
    assert step(state).finished == [runs, waits]
    assert (state.unfinished, state.blocks.free) == (0, 100)


def test_asynchronously_the_next_batch_is_made_before_the_last_token_is_known() -> None:
    one = seq("a", 4, 3)
    state = engine(one, async_scheduling=True)
    first, second = step(state), step(state)
    assert (told(first), told(second), one.tokens) == ("a:4", "a:1", 4)
    commit(state, first)
    third = step(state)
    commit(state, second)
    assert (told(third), one.tokens) == ("a:1", 6)
    assert not step(state)  # the batch on its way brings the last token
    assert commit(state, third) == [one]


def test_asynchronously_a_stop_comes_one_batch_late() -> None:
    one = seq("a", 4, 9, stops_at=1)
    state = engine(one, async_scheduling=True)
    first, second = step(state), step(state)
    assert commit(state, first) == [one]
    assert told(second) == "a:1"
    assert commit(state, second) == []
    assert one.written == 1


def test_who_has_a_token_on_its_way_is_passed_over() -> None:
    one, other = seq("a", 4, 9), seq("b", 4, 9)
    state = engine(one, other, async_scheduling=True, num_gpu_blocks=4, enable_prefix_caching=False)
    first = step(state)
    second = step(state)
    assert told(second) == "a:1 -b"
    assert other.stale == 4
    commit(state, first)
    assert (other.stale, other.tokens) == (0, 5)


def test_many_steps_at_once() -> None:
    one, other = seq("a", 5, 40), seq("b", 3, 20)
    state = engine(one, other)
    assert steady(state) == 0
    commit(state, step(state))
    assert steady(state) == 19
    assert advance(state, 18) == []
    assert (one.written, other.written, state.blocks.free) == (19, 19, 100 - 6 - 6)
    assert advance(state, 1) == [other]
    assert other.ended is Ended.LENGTH
    assert lines(state, 1) == ["a:1"]


def test_what_no_engine_takes() -> None:
    with pytest.raises(ValueError, match="context"):
        engine(seq("a", 100))
    with pytest.raises(ValueError, match="token"):
        seq("a", 0)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"max_num_batched_tokens": 7}, "less than max_num_seqs"),
        ({"max_num_batched_tokens": 50, "enable_chunked_prefill": False}, "no prefill is chunked"),
        ({"max_num_active_seqs": 9}, "more than max_num_seqs"),
        ({"long_prefill_token_threshold": 101}, "more than max_model_len"),
        ({"watermark": 1.0}, "below 1"),
        ({"block_size": 0}, "blocks"),
    ],
)
def test_what_no_engine_starts_with(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        limits(**options)
