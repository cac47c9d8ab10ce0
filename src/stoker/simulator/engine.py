"""One engine on a virtual clock: vLLM's own scheduler, each batch as long as the profile says.

Steps that only decode are taken together, up to the next one in which something else happens. What comes in
between cuts them at the end of the step that runs then, which is when vLLM looks at its queue.
"""

from __future__ import annotations

import math
from collections import deque
from typing import cast

from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import (
    Batch,
    Cohort,
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
    suits,
)
from stoker.simulator.gaps import Gaps
from stoker.simulator.request import Request
from stoker.simulator.stretch import Stretch
from stoker.simulator.told import Told


class UnderWay:
    """A batch on its way: when it ends, how long it takes, when the next may begin; and how many decode in it
    without being named."""

    __slots__ = ("aside", "batch", "end", "free", "took")

    def __init__(self, batch: Batch, end: float, took: float, free: float, aside: int) -> None:
        self.batch, self.end, self.took, self.free, self.aside = batch, end, took, free, aside


class Engine(Told):
    """One vLLM. `due` is when something happens next, if nothing comes before: then `turn` is to be called.

    ends: of all its steps, where they are kept. running, waiting: as its metrics page shows them, which
    moves at the end of a step alone. pace: how many times as long its steps take as the profile says. Times
    are seconds of the virtual clock.
    """

    __slots__ = (
        "_batches",
        "_leaving",
        "_left",
        "_stretch",
        "due",
        "pace",
        "running",
        "state",
        "steps",
        "waiting",
    )

    def __init__(
        self, limits: SchedulerLimits, profile: EngineProfile, gaps: Gaps, logged: bool = False
    ) -> None:
        self.state = State(limits)
        super().__init__(profile, gaps, Cohort(self.state) if suits(limits) else None, logged)
        self.pace = 1.0
        self.due = math.inf
        self.running = self.waiting = self.steps = 0
        self._batches: deque[UnderWay] = deque()
        self._stretch: Stretch | None = None
        self._leaving: list[Request] = []  # whose clients go away
        self._left = False  # whether any has

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
        """A client goes away: its sequence ends with the step that runs, as vLLM looks at such things in
        between."""
        if self._stretch is not None:
            self._cut(now)
        self._leaving.append(request)
        if not self._batches and self._stretch is None:
            self._let_go()

    def _let_go(self) -> None:
        """Those whose clients have left end where they are."""
        self._dissolve()
        for one in self._leaving:
            if one.ended is None:
                self._fresh.discard(one)
                self._paused.pop(one, None)
                abort(self.state, one)
        self._leaving.clear()
        self._left = True

    @property
    def computes(self) -> bool:
        """Whether a step runs."""
        return bool(self._batches) or self._stretch is not None

    def at_pace(self, pace: float, now: float) -> None:
        """Its steps take so many times as long from the next one on that begins."""
        if self._stretch is not None:
            self._cut(now)
        self.pace = pace

    def drop(self, now: float) -> list[Request]:
        """The engine dies: what it had in its hands."""
        self._settle(now)
        if self._stretch is None and self._cohort is not None:
            self._cohort.untake()
        self._dissolve()
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
            stretch = self._stretch
            return self._next(now, self._advance(stretch.count))
        one = self._batches.popleft()
        ended = commit(self.state, one.batch)
        self.steps += 1
        sampled = one.batch.sampled
        if self._left:
            sampled = [each for each in sampled if each.ended is not Ended.ABORT]
        self.told(sampled, one.aside, now, one.took)
        return self._next(now, ended)

    def _next(self, now: float, ended: list[Sequence]) -> list[Request]:
        state = self.state
        self.last = now
        if self._cohort is not None:
            ended += self._settle_cohort(self._cohort)
        if self._leaving:
            self._let_go()
        self.running, self.waiting = len(state.running) + state.aside, len(state.waiting)
        done = cast(list[Request], ended)
        for one in done:
            one.last_at = max(self.shown, one.first or 0.0)
        self._begin(now)
        return done

    def _settle_cohort(self, cohort: Cohort) -> list[Sequence]:
        under_way = self._batches[0] if self._batches else None
        ended, more = cohort.settle(under_way.batch if under_way else None)
        if under_way is not None:
            under_way.aside += more
        return ended

    def _dissolve(self) -> None:
        """Those who decode are counted one by one again."""
        if self._cohort is not None and len(self._cohort):
            under_way = self._batches[0] if self._batches else None
            count = self._cohort.dissolve(under_way.batch if under_way else None)
            if under_way is not None:
                under_way.aside -= count

    def _begin(self, now: float) -> None:
        """What is to be done from now on."""
        state, batches = self.state, self._batches
        if len(batches) == state.limits.depth - 1:
            many = self._cohort.steady() if state.aside and self._cohort else steady(state)
            if many:
                self._begin_stretch(now, many)
                return
        while len(batches) < state.limits.depth:
            batch = self._made()
            if not batch and not state.aside:
                break
            self.let_in(batch)
            self._send(batch, now)
        self.due = batches[0].end if batches else math.inf

    def _made(self) -> Batch:
        """The next batch: those who decode together first."""
        if self.state.aside and self._cohort is not None and not self._cohort.take():
            self._dissolve()
        return step(self.state)

    def _send(self, batch: Batch, now: float) -> None:
        """A batch begins when what is before it leaves its place: the engine, or a pipeline's first stage."""
        before = self._batches[-1] if self._batches else None
        aside = self.state.aside
        looked = self._cohort.looked if self._cohort is not None else 0
        begins, took = (
            max(now, before.free) if before else now,
            self.pace * self.profile.of(batch, aside, looked),
        )
        end = max(begins + took, before.end) if before else begins + took
        free = begins + took / self.state.limits.pipeline_parallel_size
        self._batches.append(UnderWay(batch, end, took, free, aside))

    # rows of steps

    def _begin_stretch(self, now: float, many: int) -> None:
        state, profile = self.state, self.profile
        number = state.aside or len(state.running)
        if state.aside and self._cohort is not None:
            looked_at = self._cohort.looked
        else:
            looked_at = sum(one.computed for one in state.running)
        looked_at += number
        more = number * profile.kv_token
        following = profile.seconds(0, number, looked_at)  # of the step that is made next
        spare = following - profile.linear(number, looked_at)
        if spare > 0 and more:  # a least time holds, until the row has grown to it
            many, more = min(many, math.ceil(spare / more)), 0.0
        following, more = following * self.pace, more * self.pace
        if self._batches:
            first, second = self._batches[0].end, following
        else:
            first, second = now + following, following + more
        self._stretch = Stretch(many, first, second, more)
        self.due = self._stretch.end(many)

    def _advance(self, many: int) -> list[Sequence]:
        """Takes so many of the row's steps; the rest of the row is forgotten."""
        stretch, state = self._stretch, self.state
        assert stretch is not None
        number, aside = state.aside or len(state.running), state.aside
        if aside and self._cohort is not None:
            self._cohort.take(many)
            state.steps += many
            ended: list[Sequence] = []
            self.told(ended, aside, stretch.first, 0.0)
        else:
            ended = advance(state, many)
            self.told(state.running + ended, 0, stretch.first, 0.0)
        if many > 1:
            self.gaps.rising(stretch.second, stretch.more, many - 1, number)
            if self.ends is not None:
                self.ends.extend(stretch.end(step) for step in range(2, many + 1))
        self.generated += (many - 1) * number
        self.serve_row((many - 1) * number, number, stretch.end(many))
        self.steps += many
        self.busy += stretch.end(many) - self.last
        self.last = stretch.end(many)
        if self._batches:
            took = stretch.second + (many - 1) * stretch.more
            end = self.last + took
            self._batches[0] = UnderWay(self._batches[0].batch, end, took, end, aside)
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
        self._advance(ended)
        self._stretch = stretch.rest(ended)
