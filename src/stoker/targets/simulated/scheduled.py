"""A request in an engine that has a profile: its tokens come with the core's steps."""

import time

from stoker.engine.scheduler import Sequence
from stoker.engine.scheduler.content import of_tokens
from stoker.targets.simulated.core import Core
from stoker.targets.simulated.generation import Generation, Lane


class Scheduled(Generation):
    """One request; each of its answers is a sequence of the scheduler's."""

    __slots__ = ("_left", "_opened", "lanes")

    def sequences(self, name: str) -> list[Sequence]:
        """A sequence for each answer."""
        size = self._engine.options.block_size
        self.lanes: dict[Sequence, Lane] = {}
        for lane in self._lanes:
            words = [hash(word) for word in lane.answer.prompt.words] or [0]
            content = of_tokens([*words, *map(hash, lane.answer.tokens)], size)
            sequence = Sequence(
                f"{name}.{lane.index}", len(words), lane.steps, arrival=self._arrived, content=content
            )
            self.lanes[sequence] = lane
        self._left, self._opened = len(self.lanes), False
        return list(self.lanes)

    def admitted(self) -> None:
        """Its first batch has begun."""
        self._admitted = time.perf_counter()
        self._engine.read(self._loop.time(), self._ask.logprobs is not None)
        if isinstance(self._engine.batch, Core):
            self._engine.batch.busy_until = self._engine.busy_until

    def token(self, sequence: Sequence) -> None:
        """A step has given one of its answers a token."""
        lane = self.lanes[sequence]
        at = sequence.written - 1
        if at >= lane.steps or (self._engine.breaks and self._dies(at)):
            return
        now = time.perf_counter()
        lane.cached, lane.preempted = sequence.cached, sequence.preemptions
        self._count(lane, at, now)
        if self._ask.stream:
            said = b"" if self._opened else self._shape.opening()
            self._exchange.write(said + self._written(lane, at))
        self._opened = True
        self._step = max(self._step, at + 1)
        if at == lane.steps - 1:
            self._left -= 1
            if not self._left:
                self._finish()

    def _found_before(self, lane: Lane) -> int:
        return lane.cached
