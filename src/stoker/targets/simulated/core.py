"""The engine's core with a profile: one batch after another, as vLLM's own scheduler makes them, each as
long as the profile says.

It stands in the place of `batch.Batch`, which knows neither steps nor a shared token budget.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import Batch, SchedulerLimits, Sequence, State, abort, commit, step
from stoker.targets.simulated.batch import Seen

if TYPE_CHECKING:
    from stoker.targets.simulated.scheduled import Scheduled

STILL_SECONDS = 0.05
BEHIND_SECONDS = 0.25  # of lateness that is made up for: a machine that was away for longer has lost it


class Core:
    """Runs batches while there is work. `stopped`: whether it may make no step at present, and until when
    (the loop's time) it is held up by something long."""

    def __init__(self, limits: SchedulerLimits, profile: EngineProfile) -> None:
        self.state = State(limits)
        self.profile = profile
        self.slow = 1.0
        self.stalled = False
        self.busy_until = 0.0
        self.preemptions = 0
        self.seen = Seen()
        self.running: dict[Scheduled, None] = {}
        self.waiting: dict[Scheduled, None] = {}
        self._owner: dict[Sequence, Scheduled] = {}
        self._batch: Batch | None = None
        self._due = 0.0
        self._number = 0

    @property
    def seats_running(self) -> int:
        """Sequences that run."""
        return len(self.state.running)

    @property
    def seats_waiting(self) -> int:
        """Sequences that wait."""
        return len(self.state.waiting)

    @property
    def blocks_held(self) -> int:
        """KV blocks that are filled."""
        return round(self.state.blocks.usage * (self.state.limits.num_gpu_blocks - 1))

    def enter(self, guest: Any) -> None:
        """A request comes, with a sequence for each answer."""
        self.waiting[guest] = None
        for sequence in guest.sequences(self._named()):
            self._owner[sequence] = guest
            self.state.add(sequence)
        if self._batch is None:
            self._due = asyncio.get_running_loop().time()
            self._begin()

    def _named(self) -> str:
        self._number += 1
        return f"r{self._number}"

    def leave(self, guest: Any) -> None:
        """A request goes, whole or not."""
        for sequence in guest.lanes:
            if self._owner.pop(sequence, None) is not None:
                abort(self.state, sequence)
        self.running.pop(guest, None)
        self.waiting.pop(guest, None)

    def stepped(self) -> None:
        """Gauges move at the end of a step alone."""

    def _begin(self) -> None:
        """The next batch, if there is anything to compute."""
        loop = asyncio.get_running_loop()
        self._batch = step(self.state)
        if not self._batch:
            self._batch = None
            self._see()
            return
        self.preemptions += len(self._batch.preempted)
        for sequence in self._batch.admitted:
            self._admitted(sequence)
        self._due = max(self._due, loop.time() - BEHIND_SECONDS) + self.slow * self.profile.of(self._batch)
        loop.call_at(self._due, self._end)

    def _admitted(self, sequence: Sequence) -> None:
        guest = self._owner.get(sequence)
        if guest is not None and guest in self.waiting:
            del self.waiting[guest]
            self.running[guest] = None
            guest.admitted()

    def _end(self) -> None:
        """The batch's time is over: its tokens come, and the next one begins."""
        loop = asyncio.get_running_loop()
        if self.stalled or loop.time() < self.busy_until:
            self._due = max(loop.time() + STILL_SECONDS, self.busy_until)
            loop.call_at(self._due, self._end)
            return
        batch, self._batch = self._batch, None
        assert batch is not None
        commit(self.state, batch)
        self._see()
        for sequence in batch.sampled:
            guest = self._owner.get(sequence)
            if guest is not None:
                guest.token(sequence)
        if self._batch is None:
            self._begin()

    def _see(self) -> None:
        self.seen.running, self.seen.waiting = len(self.state.running), len(self.state.waiting)
