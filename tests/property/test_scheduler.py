"""Laws of the scheduler in random engines.

What is given out is given back, no budget is passed, many steps at once are the same as one by one.
"""

from collections import Counter
from typing import Any

from benchmarks.scheduler.driving import Drive
from benchmarks.scheduler.ours import Ours
from benchmarks.scheduler.workloads import Workload, make
from hypothesis import given, settings
from hypothesis import strategies as st

from stoker.engine.scheduler import Batch, Sequence, State, advance, commit, steady, step
from stoker.engine.scheduler.blocks import Block

SEEDS = st.integers(0, 10**9)


class Watched(Ours):
    """Ours, looked at after every call."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload)
        self.arrived: list[str] = []
        self.first_in: list[str] = []

    def add(self, ask: Any) -> None:
        super().add(ask)
        self.arrived.append(ask.id)

    def schedule(self) -> Batch:
        batch = super().schedule()
        self.within_limits(batch)
        conserved(self.state, list(self.sequences.values()))
        self.first_in += [one.id for one in batch.admitted if one.id not in self.first_in]
        return batch

    def commit(self, batch: Batch, outputs: None) -> list[Sequence]:
        ended = super().commit(batch, outputs)
        conserved(self.state, list(self.sequences.values()))
        return ended

    def within_limits(self, batch: Batch) -> None:
        limits = self.state.limits
        assert batch.total <= limits.max_num_batched_tokens
        assert len(self.state.running) <= limits.active
        assert all(count > 0 for count in batch.tokens.values())
        assert set(batch.tokens) <= set(self.state.running)
        assert not (batch.admitted and batch.preempted)


def conserved(state: State, sequences: list[Sequence]) -> None:
    """Every block is free or held, and counted once, whoever shares it."""
    blocks = state.blocks
    users = Counter(block for one in sequences for block in one.held)
    own = sum(one.blocks - len(one.held) for one in sequences)
    kept = sum(1 if isinstance(entry, Block) else entry.count for entry in blocks.kept)
    assert blocks.free == blocks.blank + kept
    assert blocks.total == blocks.free + len(users) + own
    assert all(block.users == count for block, count in users.items())
    assert not any(isinstance(entry, Block) and entry.users for entry in blocks.kept)
    for one in sequences:
        assert len(one.held) <= one.hashed <= one.blocks
        assert one.ended or one.computed <= one.blocks * blocks.block_size


@settings(max_examples=60)
@given(SEEDS)
def test_blocks_and_budgets(seed: int) -> None:
    workload = make(seed)
    engine = Watched(workload)
    Drive(engine, workload).run()
    if not engine.busy():
        assert engine.state.blocks.free == engine.state.blocks.total
        assert all(one.ended for one in engine.sequences.values())


@settings(max_examples=60)
@given(SEEDS)
def test_first_come_first_served(seed: int) -> None:
    workload = make(seed)
    engine = Watched(workload)
    Drive(engine, workload).run()
    if workload.limits.policy == "fcfs":
        assert engine.first_in == [name for name in engine.arrived if name in engine.first_in]


@settings(max_examples=60)
@given(SEEDS)
def test_every_answer_has_its_length(seed: int) -> None:
    workload = make(seed)
    engine = Watched(workload)
    Drive(engine, workload).run()
    for ask in workload.asks:
        one = engine.sequences[ask.id]
        room = workload.limits.max_model_len - len(ask.prompt)
        if one.ended and one.ended.value != "abort":
            assert one.written == min(ask.max_tokens, len(ask.answer), room)


class Leaping(Ours):
    """Ours, that takes all steady steps at once, but one."""

    def leap(self) -> int:
        """How many it took."""
        steps = steady(self.state)
        if steps:
            advance(self.state, steps)
        return steps


def looks(engine: Ours) -> list[Any]:
    """All that a next step depends on."""
    state = engine.state
    kept = [entry.name if isinstance(entry, Block) else entry.count for entry in state.blocks.kept]
    sequences = [
        (
            one.id,
            one.status,
            one.tokens,
            one.computed,
            one.blocks,
            one.hashed,
            one.placeholders,
            one.in_flight,
        )
        for one in engine.sequences.values()
        if one.ended is None
    ]
    running = [one.id for one in state.running]
    return [
        sequences,
        running,
        state.blocks.free,
        state.blocks.blank,
        own_names(kept),
        len(state.blocks.found),
    ]


def own_names(kept: list[Any]) -> list[Any]:
    """Names that two engines have in common."""
    return [(name[0].id, name[1]) if isinstance(name, tuple) else name for name in kept]


@settings(max_examples=100)
@given(SEEDS)
def test_many_steps_at_once_are_as_one_by_one(seed: int) -> None:
    workload = make(seed)
    one, other = Leaping(workload), Ours(workload)
    for ask in workload.asks:
        one.add(ask)
        other.add(ask)
    flying: list[list[Batch]] = [[], []]
    for _ in range(3000):
        turn(one, flying[0])
        turn(other, flying[1])
        if not one.busy():
            break
        for _ in range(one.leap()):
            turn(other, flying[1])
        assert looks(one) == looks(other)


def turn(engine: Ours, flying: list[Batch]) -> None:
    """A step and a commit, of the batch before where the engine is asynchronous."""
    flying.append(step(engine.state))
    if len(flying) >= engine.state.limits.depth:
        commit(engine.state, flying.pop(0))
