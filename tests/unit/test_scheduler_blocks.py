"""What the KV cache keeps, and what it gives up first."""

from typing import Any

import pytest

from stoker.engine.scheduler import (
    SchedulerLimits,
    Sequence,
    State,
    advance,
    commit,
    heeds_arrivals,
    steady,
    step,
)
from stoker.engine.scheduler.blocks import Lost


def engine(blocks: int, **options: Any) -> State:
    return State(SchedulerLimits(blocks + 1, max_model_len=64, block_size=4, **options))


def seq(id: str, prompt: int, content: str = "", answer: int = 1) -> Sequence:
    return Sequence(id, prompt, answer, content=tuple(content))


def serve(state: State, *sequences: Sequence) -> None:
    """From their arrival to their end."""
    for one in sequences:
        state.add(one)
    while state.unfinished:
        commit(state, step(state))


def found(state: State, content: str) -> int:
    """Blocks of it that are there."""
    return len(state.blocks.find(seq("asks", 63, content)))


def test_what_ended_is_found_until_its_blocks_are_needed_the_last_of_it_first() -> None:
    state = engine(6)
    serve(state, seq("one", 16, "abcd"))
    assert found(state, "abcd") == 4
    serve(state, seq("two", 12))
    assert found(state, "abcd") == 3
    serve(state, seq("three", 4))
    assert found(state, "abcd") == 2


def test_what_was_used_last_is_kept_longest() -> None:
    state = engine(6)
    serve(state, seq("one", 8, "ab"), seq("two", 8, "xy"), seq("again", 9, "ab"))
    serve(state, seq("three", 16))
    assert (found(state, "ab"), found(state, "xy")) == (2, 0)


def test_blocks_are_not_merged_the_older_copy_is_found() -> None:
    state = engine(8)
    serve(state, seq("one", 4, "a"), seq("two", 4, "a"))  # each computes it: the last token is never spared
    older = state.blocks.found["a"]
    assert older.next is not None
    assert state.blocks.find(seq("asks", 5, "a")) == [older]
    assert older.next.next is None
    serve(state, seq("three", 28))
    assert state.blocks.found["a"] is not older
    assert found(state, "a") == 1
    serve(state, seq("four", 32))
    assert found(state, "a") == 0


def test_the_second_of_three_copies_goes() -> None:
    state = engine(8)
    serve(state, seq("one", 4, "a"), seq("two", 4, "a"), seq("three", 4, "a"))
    first = state.blocks.found["a"]
    second = first.next
    assert second is not None
    third = second.next
    serve(state, seq("again", 5, "a"))  # the first was used last: it is the last to go
    state.blocks.take(state.blocks.blank + 1)
    assert first.next is third


def test_blocks_that_nobody_can_name_are_only_counted() -> None:
    state = engine(12)
    serve(state, seq("one", 8), seq("two", 8))
    (lost,) = state.blocks.kept
    assert isinstance(lost, Lost)
    assert (lost.count, state.blocks.blank) == (4, 8)
    serve(state, seq("three", 40))
    assert (lost.count, state.blocks.blank, state.blocks.free) == (2 + 10, 0, 12)


def test_without_a_prefix_cache_blocks_are_blank_again() -> None:
    state = engine(6, enable_prefix_caching=False)
    serve(state, seq("one", 16, "abcd"))
    assert (found(state, "abcd"), state.blocks.blank, len(state.blocks.kept)) == (0, 6, 0)


def test_usage_is_the_share_of_held_blocks() -> None:
    state = engine(8)
    state.add(seq("one", 5, answer=4))
    step(state)
    assert state.blocks.usage == pytest.approx(0.25)


def test_many_steps_at_once_go_as_far_as_the_blocks() -> None:
    state = engine(5)
    state.add(seq("one", 5, answer=30))
    state.add(seq("two", 6, answer=30))
    commit(state, step(state))
    taken = steady(state)
    assert taken == 3  # a fifth block is there, a sixth is not
    advance(state, taken)
    assert state.blocks.free == 0


def test_many_steps_at_once_end_before_a_block_is_named() -> None:
    state = engine(16)
    one = seq("one", 5, "abcd", answer=30)
    state.add(one)
    commit(state, step(state))
    assert steady(state) == 2
    advance(state, 2)
    assert steady(state) == 0
    commit(state, step(state))
    assert found(state, "abcd") == 2


def test_nobody_is_left_waiting_by_many_steps_at_once() -> None:
    state = engine(16, max_num_seqs=1)
    state.add(seq("one", 5, answer=9))
    state.add(seq("two", 5, answer=9))
    commit(state, step(state))
    assert steady(state) == 8  # until the place is free
    assert len(advance(state, 8)) == 1
    assert steady(state) == 0
    assert [one.id for one in step(state).tokens] == ["two"]


@pytest.mark.parametrize(
    ("options", "heeds"), [({}, True), ({"max_num_seqs": 1}, False), ({"policy": "priority"}, True)]
)
def test_a_place_is_what_a_newcomer_needs(options: dict[str, Any], heeds: bool) -> None:
    state = engine(16, **options)
    state.add(seq("one", 5, answer=9))
    commit(state, step(state))
    assert heeds_arrivals(state) is heeds


def test_first_come_first_served_a_newcomer_waits_behind_others() -> None:
    state = engine(4)
    state.add(seq("one", 5, answer=9))
    commit(state, step(state))
    state.add(seq("two", 12))
    assert steady(state) > 1
    assert not heeds_arrivals(state)
