"""One engine on a virtual clock: vLLM's own scheduler, each batch as long as the profile says.

Steps that only decode are taken together, up to the next one in which something else happens. What comes in
between cuts them at the end of the step that runs then, which is when vLLM looks at its queue.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from typing import NamedTuple, cast

from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import (
    Batch,
    Ended,
    SchedulerLimits,
    Sequence,
    State,
    abort,
    advance,
    commit,
    heeds_arrivals,
    steady,
    step,
)
from stoker.engine.scheduler.waiting import queue
from stoker.simulator.gaps import Gaps
from stoker.simulator.request import Request


class Running(NamedTuple):
    """A batch on its way: when it ends, how long it takes, and when the next may begin."""

    batch: Batch
    end: float
    took: float
    free: float


class Stretch:
    """Steps that only decode: `count` of them. The first ends at `first`, the one after takes `second`
    seconds, and each following one `more` than the one before."""

    __slots__ = ("count", "first", "more", "second")

    def __init__(self, count: int, first: float, second: float, more: float) -> None:
        self.count, self.first, self.second, self.more = count, first, second, more

    def end(self, step: int) -> float:
        """When the step of that number ends, counted from 1."""
        after = step - 1
        return self.first + after * self.second + self.more * after * (after - 1) / 2

    def begun(self, now: float) -> int:
        """How many of its steps have ended, or run, at that moment: at least one."""
        past = now - self.first
        if past <= 0:
            return 1
        if self.more <= 0:
            steps = past / self.second
        else:
            half = self.second - self.more / 2
            steps = (math.sqrt(half * half + 2 * self.more * past) - half) / self.more
        found = min(self.count, max(1, math.ceil(steps) + 1))
        while found < self.count and self.end(found) < now:  # rounding, either way
            found += 1
        while found > 1 and self.end(found - 1) >= now:
            found -= 1
        return found


class Engine:
    """One vLLM. `due` is when something happens next, if nothing comes before: then `turn` is to be called.

    ends: of all its steps, where they are kept. running, waiting: as its metrics page shows them, which
    moves at the end of a step alone. Times are seconds of the virtual clock.
    """

    __slots__ = (
        "_batches",
        "_fresh",
        "_left",
        "_paused",
        "_stretch",
        "busy",
        "due",
        "ends",
        "gaps",
        "generated",
        "last",
        "overhead",
        "preemptions",
        "profile",
        "prompts",
        "running",
        "state",
        "steps",
        "ttft_count",
        "ttft_sum",
        "waiting",
    )

    def __init__(
        self, limits: SchedulerLimits, profile: EngineProfile, gaps: Gaps, logged: bool = False
    ) -> None:
        self.state = State(limits)
        self.profile, self.gaps, self.overhead = profile, gaps, profile.overhead
        self.ends: array[float] | None = array("d") if logged else None
        self.due = math.inf
        self.last = 0.0  # when the last step ended
        self.running = self.waiting = 0
        self.busy = 0.0
        self.preemptions = self.prompts = self.generated = self.steps = 0
        self.ttft_sum, self.ttft_count = 0.0, 0
        self._batches: deque[Running] = deque()
        self._fresh: set[Request] = set()  # let in, and without a token yet
        self._paused: dict[Request, float] = {}  # preempted, with the time of their last token
        self._stretch: Stretch | None = None
        self._left = False  # whether a client has left before its end

    # what comes and goes

    def enter(self, request: Request, now: float) -> None:
        """A request comes. Raises: ValueError, for one that no engine of these limits takes."""
        state = self.state
        if self._stretch is not None:
            if heeds_arrivals(state):
                self._cut(now)
            state.add(request)
            return
        state.add(request)
        if not self._batches:
            self.last = now
        if len(self._batches) < state.limits.depth:
            self._begin(now)

    def leave(self, request: Request, now: float) -> None:
        """A client goes away."""
        if self._stretch is not None:
            self._unroll(now)
        self._left = True
        self._fresh.discard(request)
        self._paused.pop(request, None)
        abort(self.state, request)

    def drop(self, now: float) -> list[Request]:
        """The engine dies: what it had in its hands."""
        self._settle(now)
        left = [*self.state.running, *self.state.waiting]
        self.due = math.inf
        self._batches.clear()
        self._stretch = None
        return cast(list[Request], left)

    def look(self, now: float) -> None:
        """Takes the steps that have ended by now, so that its figures are of now."""
        self._settle(now)

    # its steps

    def turn(self, now: float) -> list[Request]:
        """The next thing happens, at `due`: a step ends, or a row of them. Those that are done with it."""
        if self._stretch is not None:
            return self._end_stretch(now)
        batch, _, took, _ = self._batches.popleft()
        ended = commit(self.state, batch)
        self.steps += 1
        sampled = batch.sampled
        if self._left:
            sampled = [one for one in sampled if one.ended is not Ended.ABORT]
        self._told(sampled, now, took)
        return self._next(now, ended)

    def _next(self, now: float, ended: list[Sequence]) -> list[Request]:
        state = self.state
        self.last = now
        self.running, self.waiting = len(state.running), len(state.waiting)
        done = cast(list[Request], ended)
        for one in done:
            one.last_at = now
        self._begin(now)
        return done

    def _begin(self, now: float) -> None:
        """What is to be done from now on."""
        state, batches = self.state, self._batches
        many = steady(state) if len(batches) == state.limits.depth - 1 else 0
        if many:
            self._begin_stretch(now, many)
            return
        self._fill(now)

    def _fill(self, now: float) -> None:
        """Makes as many batches as may be on their way."""
        state, batches = self.state, self._batches
        while len(batches) < state.limits.depth:
            batch = step(state)
            if not batch:
                break
            self._let_in(batch)
            self._send(batch, now)
        self.due = batches[0].end if batches else math.inf

    def _send(self, batch: Batch, now: float) -> None:
        """A batch begins when what is before it leaves its place: the engine, or a pipeline's first stage."""
        before = self._batches[-1] if self._batches else None
        begins, took = max(now, before.free) if before else now, self.profile.of(batch)
        end = max(begins + took, before.end) if before else begins + took
        free = begins + took / self.state.limits.pipeline_parallel_size
        self._batches.append(Running(batch, end, took, free))

    def _let_in(self, batch: Batch) -> None:
        for one in batch.admitted:
            if not one.written and one not in self._paused:
                self._fresh.add(cast(Request, one))
        for one in batch.preempted:
            self.preemptions += 1
            if one not in self._fresh:
                self._paused.setdefault(cast(Request, one), self.last)

    def _told(self, sampled: list[Sequence], now: float, took: float) -> None:
        """What clients see of a step that has ended."""
        if self.ends is not None:
            self.ends.append(now)
        self.busy += took
        tokens = len(sampled)
        self.generated += tokens
        usual = tokens
        if self._fresh:
            usual -= self._first_tokens(now)
        if self._paused:
            for one in sampled:
                if (since := self._paused.pop(cast(Request, one), None)) is not None:
                    self.gaps.add(now - since, 1)
                    usual -= 1
        if usual > 0:
            self.gaps.add(now - self.last, usual)

    def _first_tokens(self, now: float) -> int:
        """Those that have their first token now; their number."""
        found = [one for one in self._fresh if one.written]
        for one in found:
            self._fresh.discard(one)
            one.first = now
            self.prompts += one.prompt
            self.ttft_sum += now - one.arrival
        self.ttft_count += len(found)
        return len(found)

    # rows of steps

    def _begin_stretch(self, now: float, many: int) -> None:
        running = self.state.running
        number = len(running)
        looked_at = sum(one.computed for one in running)
        profile = self.profile
        more = number * profile.kv_token
        following = profile.seconds(0, number, looked_at + number)  # of the step that is made next
        if self._batches:
            first = self._batches[0].end
            second = following
        else:
            first = now + following
            second = following + more
        self._stretch = Stretch(many, first, second, more)
        self.due = self._stretch.end(many)

    def _end_stretch(self, now: float) -> list[Request]:
        stretch = self._stretch
        assert stretch is not None
        return self._next(now, self._advance(stretch.count))

    def _advance(self, many: int) -> list[Sequence]:
        """Takes so many of the row's steps; the rest of the row is forgotten."""
        stretch, state = self._stretch, self.state
        assert stretch is not None
        number = len(state.running)
        ended = advance(state, many)
        self._told(state.running + ended, stretch.first, 0.0)
        if many > 1:
            self.gaps.rising(stretch.second, stretch.more, many - 1, number)
            if self.ends is not None:
                self.ends.extend(stretch.end(step) for step in range(2, many + 1))
        self.generated += (many - 1) * number
        self.steps += many
        self.busy += stretch.end(many) - self.last
        self.last = stretch.end(many)
        if self._batches:
            took = stretch.second + (many - 1) * stretch.more
            end = self.last + took
            self._batches[0] = Running(self._batches[0].batch, end, took, end)
        self._stretch = None
        return ended

    def _cut(self, now: float) -> None:
        """The row ends with the step that runs now; the next look at the queue is after it."""
        stretch = self._stretch
        assert stretch is not None
        many = stretch.begun(now)
        if many < stretch.count:
            stretch.count = many
            self.due = stretch.end(many)

    def _unroll(self, now: float) -> None:
        """The row ends, and the step that runs now is a batch of its own: made when it began, without those
        who came since."""
        self._settle(now)
        self._stretch = None
        state = self.state
        waiting, state.waiting = state.waiting, queue(state.limits.policy)
        self._fill(self.last)
        state.waiting = waiting

    def _settle(self, now: float) -> None:
        """Takes the steps of a row that have ended by now, and goes on with the rest."""
        stretch = self._stretch
        if stretch is None or stretch.first > now:
            return
        ended = stretch.begun(now)
        if stretch.end(ended) > now:
            ended -= 1
        ended = min(ended, stretch.count - 1)
        if ended < 1:
            return
        rest = Stretch(
            stretch.count - ended,
            stretch.end(ended + 1),
            stretch.second + stretch.more * ended,
            stretch.more,
        )
        self._advance(ended)
        self._stretch = rest
