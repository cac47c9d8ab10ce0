"""Sequences that only decode, taken together: a step gives each of them a token, and nobody counts them one
by one.

Who decodes takes a block every `block_size` steps and ends after a known number of them: a clock of steps, a
heap of ends and a count of blocks by the clock's remainder say all that a step has to know. What a sequence
has by now follows from when it joined. It is the same as stepping each, and takes as long for a thousand as
for one. First come, first served alone, without a cap on long prefills, on one pipeline stage: then those
that decode come before all that do not.
"""

from __future__ import annotations

import heapq

from stoker.engine.scheduler.advance import admits
from stoker.engine.scheduler.commit import end
from stoker.engine.scheduler.limits import SchedulerLimits
from stoker.engine.scheduler.sequence import Sequence
from stoker.engine.scheduler.state import Batch, State


def suits(limits: SchedulerLimits) -> bool:
    """Whether an engine of these limits can have one."""
    plain = limits.policy == "fcfs" and not limits.long_prefill_token_threshold
    return plain and limits.pipeline_parallel_size == 1


class Cohort:
    """Those of a state that decode, aside from its `running`.

    looked: tokens of KV cache that they look back on together. A caller makes a step with `take`, before
    `scheduler.step` of the rest, and calls `settle` after each commit. With asynchronous scheduling a batch
    is on its way whenever there are members, and they are in it without being named.
    """

    __slots__ = ("_ahead", "_clock", "_leaving", "_members", "_order", "_phases", "_size", "_state", "looked")

    def __init__(self, state: State) -> None:
        """Nobody decodes."""
        self._state = state
        self._size = state.blocks.block_size
        self._ahead = int(state.limits.async_scheduling)
        self._members: dict[Sequence, int] = {}  # each with the clock at which it joined
        self._phases = [0] * self._size
        self._leaving: list[tuple[int, int, Sequence]] = []
        self._clock = self._order = self.looked = 0

    def __len__(self) -> int:
        """How many they are."""
        return len(self._members)

    def __contains__(self, sequence: Sequence) -> bool:
        """Whether it is one of them."""
        return sequence in self._members

    def steady(self) -> int:
        """How many steps from here on do nothing but decode for them, if nobody comes; 0 where somebody gets
        in."""
        if self._state.running or not self._members or admits(self._state):
            return 0
        steps = self._leaving[0][0] - self._clock
        while steps and not self._has_room(steps):
            steps //= 2
        return steps

    def _has_room(self, steps: int) -> bool:
        return self._needed(steps) <= self._state.blocks.free

    def _needed(self, steps: int) -> int:
        """Blocks that so many steps take."""
        if steps == 1:
            return self._phases[self._clock % self._size]
        whole, rest = divmod(steps, self._size)
        begin = self._clock % self._size
        part = self._phases[begin : begin + rest]
        if begin + rest > self._size:
            part += self._phases[: begin + rest - self._size]
        return whole * len(self._members) + sum(part)

    def take(self, steps: int = 1) -> bool:
        """Makes so many steps; False, and nothing changed, where one is too many for the blocks or a
        batch."""
        count = len(self._members)
        needed = self._needed(steps)
        if needed > self._state.blocks.free or count > self._state.limits.max_num_batched_tokens:
            return False
        if needed:
            self._state.blocks.take(needed)
        self._clock += steps
        self.looked += count * steps
        return True

    def untake(self) -> None:
        """The last step that was made is never committed: what they have by now is what they had before. Its
        blocks are not given back."""
        if self._members:
            self._clock -= 1
            self.looked -= len(self._members)

    def settle(self, under_way: Batch | None) -> tuple[list[Sequence], int]:
        """After a commit: who ends, and by how many more of its sequences the batch on its way is no longer
        named (fewer: below zero).

        Those who were named in it and only decode from now on join; those who are about to end leave.
        """
        left = self._leave(under_way)
        if not self._ahead:
            end(self._state, left)
        joined = self._join(under_way)
        if under_way is None:
            return left, 0
        return [], joined - len(left)

    def dissolve(self, under_way: Batch | None) -> int:
        """Each is counted by itself again, as before; how many they were."""
        members = [self._out(one) for one in self._members]
        self._members.clear()
        self._leaving.clear()
        self._phases = [0] * self._size
        self.looked = 0
        self._state.aside = 0
        whole = [*members, *self._state.running]
        whole.sort(key=lambda one: one.place or self._order + 1)
        self._state.running = whole
        if under_way is not None:
            self._named(under_way, members)
        return len(members)

    # who comes and goes

    def _leave(self, under_way: Batch | None) -> list[Sequence]:
        left: list[Sequence] = []
        leaving, members = self._leaving, self._members
        while leaving and leaving[0][0] <= self._clock:
            one = heapq.heappop(leaving)[2]
            begun = members[one]
            self._out(one)
            del members[one]
            self._phases[(begun - (one.computed - self._clock + begun)) % self._size] -= 1
            self.looked -= one.computed
            left.append(one)
        if left:
            self._state.aside = len(members)
            self._state.running[:0] = left
            if under_way is not None:
                self._named(under_way, left)
        return left

    def _out(self, one: Sequence) -> Sequence:
        """Its own counts, as they are by now."""
        steps = self._clock - self._members[one]
        one.tokens += steps
        one.computed += steps
        one.blocks = max(one.blocks, -(-one.computed // self._size))
        if self._state.blocks.caching:
            one.hashed = max(one.hashed, (one.tokens - 1) // self._size)
        one.placeholders = one.in_flight = self._ahead
        return one

    def _named(self, batch: Batch, sequences: list[Sequence]) -> None:
        """They are in the batch on its way by name."""
        batch.tokens = {**dict.fromkeys(sequences, 1), **batch.tokens}
        batch.sampled[:0] = sequences

    def _join(self, under_way: Batch | None) -> int:
        """Those who decode from now on."""
        running = self._state.running
        if not running or (self._ahead and under_way is None):
            return 0
        kept: list[Sequence] = []
        joined: list[Sequence] = []
        for index, one in enumerate(running):
            if not one.place:
                self._order += 1
                one.place = self._order
            left = one.limit - one.tokens - self._ahead
            if left > 0 and self._decodes(one):
                joined.append(one)
                self._in(one, left)
            elif left > 0:
                kept += running[index:]
                break
            else:  # its last token is on its way: it is passed over
                kept.append(one)
        if not joined:
            return 0
        self._state.running = kept
        self._state.aside = len(self._members)
        if under_way is not None:
            self._unnamed(under_way, joined)
        return len(joined)

    def _unnamed(self, batch: Batch, sequences: list[Sequence]) -> None:
        if len(sequences) == len(batch.sampled):
            batch.sampled = []
        else:
            gone = set(sequences)
            batch.sampled = [one for one in batch.sampled if one not in gone]
        for one in sequences:
            del batch.tokens[one]

    def _decodes(self, one: Sequence) -> bool:
        """Whether a step gives it a token and does nothing else for it."""
        ahead = self._ahead
        return (
            one.tokens > one.prompt
            and one.placeholders == one.in_flight * ahead == ahead
            and one.tokens + ahead - one.computed == 1
            and one.blocks == -(-one.computed // self._size)
            and (one.hashed >= len(one.content) or not self._state.blocks.caching)
        )

    def _in(self, one: Sequence, left: int) -> None:
        self._members[one] = self._clock
        self._phases[(self._clock - one.computed) % self._size] += 1
        self.looked += one.computed
        heapq.heappush(self._leaving, (self._clock + left, one.place, one))
