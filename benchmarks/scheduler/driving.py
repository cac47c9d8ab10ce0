"""Drives a scheduler through a workload as vLLM's engine core drives its own, and writes down every step."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Protocol

from benchmarks.scheduler.workloads import Ask, Workload

Named = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A batch: its requests in order with their tokens, what the prefix cache spared those let in, who was
    preempted, and who ended since the last."""

    tokens: Named
    admitted: Named
    preempted: tuple[str, ...]
    finished: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class After:
    """What a committed batch left: who ended and why, who runs and waits in which order, the free blocks."""

    ended: tuple[tuple[str, str], ...]
    running: tuple[str, ...]
    waiting: tuple[str, ...]
    free: int


class Engine(Protocol):
    """A scheduler of either kind."""

    def busy(self) -> bool: ...
    def add(self, ask: Ask) -> None: ...
    def abort(self, id: str) -> None: ...
    def schedule(self) -> Any: ...
    def describe(self, batch: Any) -> Made: ...
    def outputs(self, batch: Any) -> Any: ...
    def commit(self, batch: Any, outputs: Any) -> Any: ...
    def after(self, committed: Any) -> After: ...


@dataclass
class Drive:
    """A workload on its way through a scheduler: what happened, and the seconds that the scheduler took."""

    engine: Engine
    workload: Workload
    seen: list[Made | After] = field(default_factory=list)
    seconds: float = 0.0
    steps: int = 0

    def run(self) -> Drive:
        """All turns. One turn is one call of vLLM's EngineCore.step or step_with_batch_queue."""
        asks = deque(self.workload.asks)
        on_the_way: deque[Any] = deque()
        deep = self.workload.limits.depth
        turn = 0
        while (asks or on_the_way or self.engine.busy()) and turn < self.workload.turns:
            while asks and asks[0].turn <= turn:
                self.engine.add(asks.popleft())
            self._leave(turn, mid_step=False)
            self._turn(turn, on_the_way, deep)
            turn += 1
        return self

    def _turn(self, turn: int, on_the_way: deque[Any], deep: int) -> None:
        if self.engine.busy():
            on_the_way.append(self._schedule())
            made = self.seen[-1]
            assert isinstance(made, Made)
            if len(on_the_way) < deep and (made.tokens or self.engine.busy()):
                return
        if on_the_way:
            batch = on_the_way.popleft()
            self._leave(turn, mid_step=True)
            self._commit(batch)

    def _schedule(self) -> Any:
        begun = time.perf_counter()
        batch = self.engine.schedule()
        self.seconds += time.perf_counter() - begun
        self.steps += 1
        self.seen.append(self.engine.describe(batch))
        return batch

    def _commit(self, batch: Any) -> None:
        outputs = self.engine.outputs(batch)
        begun = time.perf_counter()
        committed = self.engine.commit(batch, outputs)
        self.seconds += time.perf_counter() - begun
        self.seen.append(self.engine.after(committed))

    def _leave(self, turn: int, *, mid_step: bool) -> None:
        for ask in self.workload.asks:
            if ask.leaves == turn and ask.mid_step is mid_step and ask.turn <= turn:
                self.engine.abort(ask.id)


def difference(ours: Drive, theirs: Drive) -> str | None:
    """The first thing that is not the same, None where all is."""
    for place, (one, other) in enumerate(zip(ours.seen, theirs.seen, strict=False)):
        if one != other:
            return f"seed {ours.workload.seed}, entry {place}:\n  ours   {one}\n  vLLM's {other}"
    if len(ours.seen) != len(theirs.seen):
        return f"seed {ours.workload.seed}: {len(ours.seen)} entries, vLLM's {len(theirs.seen)}"
    return None
