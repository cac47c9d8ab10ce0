"""A replica on the virtual clock: its phases, its engine, and what it has in its hands."""

from __future__ import annotations

import math

from stoker.fleet.state import Phase, Replica, Sample
from stoker.simulator.engine import Engine
from stoker.simulator.gaps import Gaps
from stoker.simulator.nodes import Node
from stoker.simulator.request import Request
from stoker.simulator.scenario import Scenario

STARTED = frozenset(("Starting", "Loading", "Warming", "Ready", "Unready", "Draining"))


class Pod:
    """One replica's life. number: its name; lives: how often its engine was started. due: when something
    happens in it by itself."""

    __slots__ = (
        "asked",
        "before",
        "due",
        "engine",
        "gone_at",
        "id",
        "left",
        "lives",
        "logged",
        "nodes",
        "number",
        "phase",
        "ready_at",
        "running",
        "sample",
        "scenario",
        "since",
        "started",
    )

    def __init__(self, number: int, scenario: Scenario, now: float, logged: bool = False) -> None:
        self.logged = logged
        self.number, self.id, self.scenario = number, str(number), scenario
        self.phase: Phase = "Pending"
        self.asked = self.since = now
        self.started = 0.0
        self.ready_at: float | None = None
        self.nodes: tuple[Node, ...] = ()
        self.running: dict[Request, None] = {}
        self.engine: Engine | None = None
        self.left: list[tuple[Phase, float]] = []
        self.lives = 0
        self.due = math.inf
        self.gone_at: float | None = None
        self.before: list[Engine] = []  # of earlier lives
        self.sample: Sample | None = None

    def place(self, nodes: tuple[Node, ...], now: float, phases: tuple[tuple[Phase, float], ...]) -> None:
        """It has its nodes, which may still be on their way, and begins when they are there."""
        self.nodes = nodes
        self.left = list(phases)
        begin = max([now, *(one.ready for one in nodes)])
        if begin > now:
            self._enter("Pending", now, begin)
        else:
            self.go_on(now)

    def go_on(self, now: float) -> bool:
        """The next phase; True where it is ready with it."""
        if self.left:
            phase, seconds = self.left.pop(0)
            if phase in STARTED and not self.started:
                self.started = now
            self._enter(phase, now, now + seconds)
            return False
        self._enter("Ready", now, math.inf)
        self.ready_at = now
        self.lives += 1
        scenario = self.scenario
        self.engine = Engine(scenario.limits, scenario.profile, Gaps(), self.logged)
        return True

    def _enter(self, phase: Phase, now: float, until: float) -> None:
        self.phase, self.since, self.due = phase, now, until

    def die(self, now: float) -> list[Request]:
        """Its engine ends; what it had is returned, and it begins again."""
        left = list(self.running)
        self.running.clear()
        if self.engine is not None:
            self.engine.drop(now)
            self.before.append(self.engine)
        self.engine = None
        self.sample = None
        self.left = list(self.scenario.starting.again)
        self.started = 0.0
        self.go_on(now)
        return left

    @property
    def engines(self) -> list[Engine]:
        """Of all its lives."""
        return [*self.before, *([self.engine] if self.engine is not None else [])]

    @property
    def busy(self) -> float:
        """Seconds in which its engines computed."""
        return sum(one.busy for one in self.engines)

    def look(self, now: float) -> None:
        """What its metrics page says; nothing before its engine is up."""
        engine = self.engine
        if engine is None:
            self.sample = None
            return
        engine.look(now)
        self.sample = Sample(
            now,
            engine.running,
            engine.waiting,
            engine.state.blocks.usage,
            engine.prompts,
            engine.generated,
            engine.ttft_sum,
            engine.ttft_count,
        )

    def seen(self) -> Replica:
        """As a fleet's state has it."""
        return Replica(
            self.id,
            self.phase,
            self.since,
            restarts=max(0, self.lives - 1),
            sample=self.sample,
            started=self.started,
        )
