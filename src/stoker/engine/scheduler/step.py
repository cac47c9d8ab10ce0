"""One step: who computes how many tokens, vLLM's way.

There are no phases: each sequence has tokens that are known and tokens that are computed, and a step lets the
second catch up with the first, for those that run before those that wait, within the token budget.
Source: vLLM v1/core/sched/scheduler.py, Scheduler.schedule.
"""

from stoker.engine.scheduler.blocks import Block
from stoker.engine.scheduler.sequence import Sequence, Status
from stoker.engine.scheduler.state import Batch, State


def step(state: State) -> Batch:
    """The next batch; empty where nobody can compute. Nobody is let in by a step that preempts."""
    state.steps += 1
    batch = Batch(finished=state.finished)
    state.finished = []
    making = Making(state, batch)
    making.run()
    if not batch.preempted:
        making.admit()
    _launch(state, batch)
    return batch


def _cap(state: State) -> int:
    """Most tokens that one prefill may take of this step, 0 for no such limit: alone, it starves nobody."""
    limits = state.limits
    requests = state.unfinished
    cap = limits.long_prefill_token_threshold if requests > 1 else 0
    if cap and limits.long_prefill_token_threshold_adaptive:
        return max(cap, limits.max_num_batched_tokens // requests)
    return cap


def _launch(state: State, batch: Batch) -> None:
    """What is on its way counts as computed. Source: vLLM _update_after_schedule, of both schedulers."""
    limits = state.limits
    ahead, overlap, next_turn = limits.async_scheduling, limits.depth > 1, state.steps
    next_turn += limits.pipeline_parallel_size
    sampled = batch.sampled
    for sequence, count in batch.tokens.items():
        sequence.computed += count
        if sequence.computed >= sequence.tokens + sequence.placeholders:
            sampled.append(sequence)
            if ahead:
                sequence.placeholders += 1
                sequence.eligible = next_turn
        if overlap:
            sequence.in_flight += count


class Making:
    """A step in the making: what is left of its budget."""

    __slots__ = ("batch", "budget", "cap", "index", "limits", "state")

    def __init__(self, state: State, batch: Batch) -> None:
        """Nothing is given away yet."""
        self.state, self.batch, self.limits = state, batch, state.limits
        self.budget = state.limits.max_num_batched_tokens - state.aside
        self.cap = _cap(state)
        self.index = 0  # of the running sequence that is looked at

    # those that run

    def run(self) -> None:
        """Gives those that run their tokens, in the order in which they were let in."""
        running = self.state.running
        self._decodes()
        while self.index < len(running) and self.budget > 0:
            if not self._give(running[self.index]):
                return
            self.index += 1
            self._decodes()

    def _decodes(self) -> None:
        """Takes all in a row that need one token in the middle of a block: a short cut, not a rule of its
        own.
        """
        running, tokens, now = self.state.running, self.batch.tokens, self.state.steps
        size, index = self.limits.block_size, self.index
        end = min(len(running), index + self.budget)
        while index < end:
            sequence = running[index]
            after = sequence.computed + 1
            if (
                after % size <= 1
                or not sequence.tokens + sequence.placeholders == after < sequence.last
                or sequence.eligible > now
            ):
                break
            tokens[sequence] = 1
            index += 1
        self.budget -= index - self.index
        self.index = index

    def _give(self, sequence: Sequence) -> bool:
        """Its tokens, if it needs any; False where there is no room for them, and none to be made."""
        count = self._wanted(sequence)
        if count > 0:
            if not self._make_room(sequence, sequence.computed + count):
                return False
            self.batch.tokens[sequence] = count
            self.budget -= count
        return True

    def _wanted(self, sequence: Sequence) -> int:
        placeholders, computed = sequence.placeholders, sequence.computed
        if placeholders and computed + 2 - placeholders >= sequence.prompt + sequence.max_tokens:
            return 0  # a batch on its way brings its last token
        if self.state.steps < sequence.eligible:
            return 0
        count = sequence.tokens + placeholders - computed
        if 0 < self.cap < count:
            count = self.cap
        return min(count, self.budget, self.limits.max_model_len - computed - 1)

    def _make_room(self, sequence: Sequence, tokens: int) -> bool:
        """Room for it, at the cost of others if need be; False where it is itself the least important."""
        while not self.state.blocks.extend(sequence, tokens):
            victim = self._victim()
            self._preempt(victim)
            if victim is sequence:
                return False
        return True

    def _victim(self) -> Sequence:
        """Takes the least important off those that run; under `priority` it may have its tokens already."""
        running = self.state.running
        if self.limits.policy == "fcfs":
            return running.pop()
        victim = max(running, key=lambda one: (one.priority, one.arrival))
        place = running.index(victim)
        del running[place]
        self.index -= place < self.index
        self.budget += self.batch.tokens.pop(victim, 0)
        return victim

    def _preempt(self, victim: Sequence) -> None:
        """Source: vLLM Scheduler._preempt_request."""
        self.state.blocks.release(victim)
        victim.status = Status.PREEMPTED
        victim.computed = victim.placeholders = victim.place = 0
        victim.stale = victim.in_flight
        victim.preemptions += 1
        self.state.waiting.put_back((victim,))
        self.batch.preempted.append(victim)

    # those that wait

    def admit(self) -> None:
        """Lets in who waits, one after the other, until one does not fit."""
        state = self.state
        passed: list[Sequence] = []
        most = self.limits.active - state.aside
        while self.budget > 0 and state.waiting and len(state.running) < most:
            sequence = state.waiting.first()
            if sequence.stale:  # its old batch is still to bring a token
                passed.append(state.waiting.pop())
            elif not self._admit(sequence):
                break
        if passed:
            state.waiting.put_back(reversed(passed))

    def would_admit(self, sequence: Sequence) -> tuple[list[Block], int]:
        """What a newcomer finds, and the tokens that it would compute: 0 where it does not get in."""
        blocks = self.state.blocks
        hits = blocks.find(sequence)
        cached = len(hits) * blocks.block_size
        count = self._first_chunk(sequence.tokens - cached)
        return hits, count if count and self._fits(sequence, hits, cached + count) else 0

    def _admit(self, sequence: Sequence) -> bool:
        hits, count = self.would_admit(sequence)
        if not count:
            return False
        blocks = self.state.blocks
        cached = len(hits) * blocks.block_size
        blocks.adopt(sequence, hits)
        blocks.extend(sequence, cached + count)
        self._start(sequence, cached, count)
        return True

    def _first_chunk(self, count: int) -> int:
        """How many tokens a newcomer computes, 0 where it has to wait for a step of its own."""
        if 0 < self.cap < count:
            count = self.cap
        if count > self.budget and not self.limits.enable_chunked_prefill:
            return 0
        return min(count, self.budget)

    def _fits(self, sequence: Sequence, hits: list[Block], tokens: int) -> bool:
        """Whether the blocks suffice, for the whole prompt too.

        Source: vLLM KVCacheManager.allocate_slots.
        """
        limits, blocks = self.limits, self.state.blocks
        others = self.state.running or self.state.aside
        free = blocks.free - (limits.watermark_blocks if others else 0)
        if limits.scheduler_reserve_full_isl and blocks.lacking(sequence.tokens, hits) > free:
            return False
        return blocks.lacking(tokens, hits) <= free

    def _start(self, sequence: Sequence, cached: int, count: int) -> None:
        state = self.state
        state.running.append(state.waiting.pop())
        if sequence.status is Status.WAITING:
            sequence.cached = cached
        sequence.status = Status.RUNNING
        sequence.computed = cached
        self.batch.admitted[sequence] = cached
        self.batch.tokens[sequence] = count
        self.budget -= count
