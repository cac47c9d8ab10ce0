"""Sweep: the highest rate, or number of users, at which the objectives are kept; one test after another.

Each test is a run in a folder of its own. A test ends early once more of it could not change its verdict, and
is repeated with another seed where it leaves that open near the answer.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from stoker.bench.folder import SWEEP, RunFolder
from stoker.bench.measure import Live, Test, measure
from stoker.bench.probe import Probed
from stoker.bench.server_watch import ServerWatch
from stoker.engine.profile import EngineProfile
from stoker.system.files import write_json
from stoker.traffic.arrivals import ClosedLoop, OpenLoop, steady
from stoker.traffic.capacity import Capacity, LoadStep, capacity, merged, next_level, next_users, step, wilson
from stoker.traffic.gaps import Gap, gaps
from stoker.traffic.limits import each_engine
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.profiling import fitted_to, intervals
from stoker.traffic.records import RequestRecord
from stoker.traffic.run import Run
from stoker.traffic.workload import Workload

VERSION = 1
SECONDS, WARMUP = 20.0, 3.0  # of one test
ALONE_SECONDS = 8.0  # of the first test: one user
PRECISION = 0.08  # of the highest rate: where the search ends
BENEATH = 0.9  # of the requests that run in an engine at the capacity: its target has room for a start
REPEATS = 2  # of a test that leaves the verdict open
CERTAIN = 30  # requests before a test may end early
LEAST_RATE, MOST_RATE = 0.01, 100_000.0
MOST_USERS = 4096
Level = Literal["rate", "users"]
Say = Callable[[str, float], None]  # what is tried, and at which level
Look = Callable[[], ServerWatch | None]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What was tried and found. alone: the test with one user, which the search begins from. intervals: of
    the profile's parts, at 95 %; gaps: of how many steps."""

    level: Level
    steps: tuple[LoadStep, ...]
    found: Capacity
    objectives: LatencyObjectives
    share: float
    alone: Run | None = None
    interrupted: bool = False
    profile: EngineProfile | None = None
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    gaps: int = 0
    version: int = VERSION

    @property
    def scaling(self) -> dict[str, float]:
        """Targets for an autoscaler, each a little beneath what an engine had at the capacity; none where the
        engines did not tell it, or nothing kept the objectives."""
        told = self.told
        if told is None or told.running is None or self.found.level is None:
            return {}
        found = {"batch-size": float(max(1, math.floor(BENEATH * told.running)))}
        if told.waiting is not None and told.waiting >= 1:
            found["queue-depth"] = float(math.floor(told.waiting))
        return found

    @property
    def told(self) -> LoadStep | None:
        """The highest level that kept the objectives and of which the engines told their requests."""
        good = [one for one in self.steps if one.meets(self.share) and one.running is not None]
        return max(good, key=lambda one: one.level, default=None)

    @property
    def best(self) -> LoadStep | None:
        """The highest level that kept the objectives."""
        good = [one for one in self.steps if one.meets(self.share)]
        return max(good, key=lambda one: one.level, default=None)


def to_json(sweep: Sweep) -> dict[str, Any]:
    """What `sweep.json` holds, and `-o json` prints."""
    steps = [{**asdict(one), "attainment": one.attainment, "requests": one.requests} for one in sweep.steps]
    return {
        "version": sweep.version,
        "kind": "sweep",
        "level": sweep.level,
        "steps": steps,
        "capacity": asdict(sweep.found),
        "objectives": asdict(sweep.objectives),
        "share": sweep.share,
        "scaling": sweep.scaling,
        "interrupted": sweep.interrupted,
        "profile": asdict(sweep.profile) if sweep.profile else None,
        "profile_intervals": {name: list(pair) for name, pair in sweep.intervals.items()},
        "profile_steps": sweep.gaps,
    }


class Sweeper:
    """Runs the tests. seconds, warmup: of each. budget: seconds for all of them, None for no limit."""

    def __init__(
        self,
        test: Test,
        probed: Probed,
        level: Level,
        root: Path | None,
        look: Look,
        live: Callable[[float, Live], None],
        seconds: float = SECONDS,
        warmup: float = WARMUP,
        alone: float = ALONE_SECONDS,
        precision: float = PRECISION,
        repeats: int = REPEATS,
        budget: float | None = None,
    ) -> None:
        self._test, self._probed, self._level, self._root = test, probed, level, root
        self._look, self._live = look, live
        self._seconds, self._warmup, self._alone = seconds, warmup, alone
        self._precision, self._repeats, self._budget = precision, repeats, budget
        self._steps: dict[float, LoadStep] = {}
        self._spent = 0.0
        self._interrupted = False
        self._gaps: list[Gap] = []

    def run(self) -> Sweep:
        """Tries one level after another until the answer is as precise as asked. Ctrl-C ends it with what
        there is."""
        alone = self._measured(ClosedLoop(1), "one-user", self._alone, 0.0, 0)
        mean = alone.summary.e2e.mean
        level: float | None = 4.0 if self._level == "users" else round(0.5 / mean, 3) if mean else 1.0
        if self._level == "users":
            self._take(1.0, alone, "one-user")
        while level is not None and not self._interrupted and self._affordable():
            self._try(level)
            level = self._next()
        steps = tuple(sorted(self._steps.values(), key=lambda one: one.level))
        test = self._test
        found = capacity(steps, test.share, test.workload.seed)
        profile = fitted_to(self._gaps, alone.records, alone.profile.source) if alone.profile else None
        sweep = Sweep(
            self._level,
            steps,
            found,
            test.objectives,
            test.share,
            alone,
            self._interrupted,
            profile,
            intervals(self._gaps) if profile else {},
            len(self._gaps) if profile else 0,
        )
        if self._root is not None:
            write_json(self._root / SWEEP, to_json(sweep), mode=0o644)
        return sweep

    def _affordable(self) -> bool:
        return self._budget is None or self._spent + self._seconds <= self._budget

    def _next(self) -> float | None:
        steps, share = list(self._steps.values()), self._test.share
        if self._level == "users":
            return next_users(steps, share, MOST_USERS)
        return next_level(steps, share, self._precision, LEAST_RATE, MOST_RATE)

    def _try(self, level: float) -> None:
        """One level: again with another seed while its verdict is open and near the answer."""
        for repeat in range(1 + self._repeats):
            name = f"{self._level}-{level:g}" + (f"-{repeat + 1}" if repeat else "")
            arrivals = self._arrivals(level)
            found = self._measured(arrivals, name, self._seconds, self._warmup, repeat)
            self._take(level, found, name)
            known = self._steps[level]
            if self._interrupted or not known.undecided(self._test.share) or not self._affordable():
                return

    def _arrivals(self, level: float) -> OpenLoop | ClosedLoop:
        asked = self._test.workload.arrivals
        if self._level == "users":
            think = asked.think_time if isinstance(asked, ClosedLoop) else 0.0
            return ClosedLoop(round(level), think)
        law = (asked.law, asked.burstiness) if isinstance(asked, OpenLoop) else ("poisson", 1.0)
        return steady(level, *law)

    def _take(self, level: float, found: Run, folder: str) -> None:
        test = self._test
        fresh = step(
            level,
            found.records,
            found.summary,
            test.objectives or None,
            open_loop=self._level == "rate",
            believable=found.holds,
            folder=folder,
        )
        fresh = replace(fresh, running=each_engine(found, "running"), waiting=each_engine(found, "waiting"))
        self._steps[level] = merged(self._steps[level], fresh) if level in self._steps else fresh

    def _measured(
        self, arrivals: OpenLoop | ClosedLoop, name: str, seconds: float, warmup: float, repeat: int
    ) -> Run:
        workload = self._workload(arrivals, seconds, warmup, repeat)
        level = arrivals.peak if isinstance(arrivals, OpenLoop) else float(arrivals.users)
        asked = {key: value for key, value in self._test.asked.items() if key not in ("rate", "users")}
        words = {"rate" if isinstance(arrivals, OpenLoop) else "users": f"{level:g}"}
        test = replace(self._test, workload=workload, asked={**asked, **words, "duration": f"{seconds:g}s"})
        folder = RunFolder(self._root / name) if self._root is not None else None
        found = measure(
            test,
            self._probed,
            folder,
            self._look(),
            lambda live: self._live(level, live),
            lambda elapsed, records: self._decided(elapsed, records, warmup),
        )
        self._spent += seconds
        self._interrupted = self._interrupted or found.interrupted
        self._gaps += gaps(found.records) if found.profile else []
        return found

    def _workload(
        self, arrivals: OpenLoop | ClosedLoop, seconds: float, warmup: float, repeat: int
    ) -> Workload:
        mine = self._test.workload
        seed = mine.seed + 1_000_003 * (len(self._steps) + 101 * repeat + 1)
        return replace(mine, arrivals=arrivals, duration=seconds, limit=None, warmup=warmup, seed=seed)

    def _decided(self, elapsed: float, records: Sequence[RequestRecord], warmup: float) -> str:
        """Why a test can end: so many requests broke the objectives that the rest cannot mend it."""
        objectives, share = self._test.objectives, self._test.share
        if not objectives or elapsed < warmup:
            return ""
        inside = [one for one in records if one.scheduled >= warmup]
        if len(inside) < CERTAIN:
            return ""
        kept = sum(objectives.kept_by(one) for one in inside)
        _, high = wilson(kept / len(inside), len(inside) / 4)  # neighbours in time are not independent
        return "ended early, since the objectives cannot be kept here" if high < share else ""
