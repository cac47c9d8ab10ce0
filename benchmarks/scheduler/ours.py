"""Our scheduler, driven."""

from __future__ import annotations

from collections import Counter

from benchmarks.scheduler.driving import After, Made
from benchmarks.scheduler.workloads import Ask, Workload
from stoker.engine import scheduler
from stoker.engine.scheduler import Batch, Sequence, State
from stoker.engine.scheduler.content import of_tokens


class Ours:
    """One engine, that is to be asked what the workload says.

    For every other seed it is told only the names that several requests share, so that the rest are blocks of
    a sequence's own: what it does must not depend on it.
    """

    def __init__(self, workload: Workload) -> None:
        """It is empty."""
        self.state = State(workload.limits)
        self.sequences: dict[str, Sequence] = {}
        size = workload.limits.block_size
        contents = {ask.id: of_tokens(ask.prompt + ask.answer, size) for ask in workload.asks}
        times = Counter(name for content in contents.values() for name in content)
        self.contents = {
            id: tuple(name for name in content if workload.seed % 2 or times[name] > 1)
            for id, content in contents.items()
        }

    def busy(self) -> bool:
        """Whether vLLM would make a step: also to tell the workers who ended."""
        return bool(self.state.unfinished or self.state.finished)

    def add(self, ask: Ask) -> None:
        """A request."""
        sequence = Sequence(
            ask.id,
            len(ask.prompt),
            ask.max_tokens,
            arrival=ask.arrival,
            priority=ask.priority,
            stops_at=ask.stops_at,
            content=self.contents[ask.id],
        )
        self.sequences[ask.id] = sequence
        self.state.add(sequence)

    def abort(self, id: str) -> None:
        """The client leaves."""
        scheduler.abort(self.state, self.sequences[id])

    def schedule(self) -> Batch:
        """The next batch."""
        return scheduler.step(self.state)

    def describe(self, batch: Batch) -> Made:
        """For comparison."""
        return Made(
            tuple((one.id, count) for one, count in batch.tokens.items()),
            tuple(sorted((one.id, count) for one, count in batch.admitted.items())),
            tuple(sorted(one.id for one in batch.preempted)),
            tuple(sorted(one.id for one in batch.finished)),
        )

    def outputs(self, batch: Batch) -> None:
        """Lengths are known: there is nothing to prepare."""

    def commit(self, batch: Batch, outputs: None) -> list[Sequence]:
        """The batch is done."""
        return scheduler.commit(self.state, batch)

    def after(self, committed: list[Sequence]) -> After:
        """For comparison."""
        state = self.state
        waiting = sorted(
            (one for one in self.sequences.values() if one.ended is None and one not in state.running),
            key=lambda one: one.id,
        )
        return After(
            tuple((one.id, one.ended.value) for one in committed if one.ended),
            tuple(one.id for one in state.running),
            tuple(one.id for one in waiting),
            state.blocks.free,
        )
