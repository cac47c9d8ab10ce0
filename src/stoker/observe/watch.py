"""Watching one fleet: its state, its replicas' metrics, what changed, all kept and told to whoever looks."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from stoker.engine.samples import MetricSample
from stoker.errors import StokerError
from stoker.events import Event
from stoker.fleet.diff import events
from stoker.fleet.points import Point, Window
from stoker.fleet.state import FleetState
from stoker.observe.scrape import Page, Scraper
from stoker.observe.store import HOUR, STEP, File, History, Record, kept

log = logging.getLogger(__name__)
SECONDS = 10.0  # what a second's rates and quantiles are taken over


@dataclass(frozen=True, slots=True)
class Look:
    """One round: the state, the points (the fleet's first), what has happened, and why a replica gave no figures."""

    at: float
    state: FleetState
    points: tuple[Point, ...]
    events: tuple[Record, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    interval: float = 1.0


class Watcher:
    """Looks once an interval until it is cancelled. `state` is asked in a thread; `pages` names where to scrape."""

    def __init__(
        self, state: Callable[[], FleetState], pages: Callable[[FleetState], Mapping[str, Page]], *,
        interval: float = 1.0, state_every: float = 1.0, file: File | None = None,
    ) -> None:  # fmt: skip
        self._state, self._pages, self._file = state, pages, file
        self._state_every = state_every
        self.history = History()
        if file is not None:
            self.history.resume(*kept(file.path, time.time() - HOUR))
        self.latest: Look | None = None
        self.why = ""
        self._scraper = Scraper(interval)
        self._now, self._slow = Window(SECONDS), Window(STEP)
        self._pending: list[Record] = []
        self._written = self._looked = 0.0
        self._news = asyncio.Condition()

    async def run(self) -> None:
        """Rounds, until it is cancelled. What cannot be looked at is told, and tried again."""
        try:
            await self._rounds()
        finally:
            if self._file is not None and self.latest is not None:
                self._file.add(self.latest.points, self._pending)
                self._pending = []

    async def _rounds(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self.look()
                self.why = ""
            except StokerError as error:
                self.why = f"{error.finding.what}: {error.finding.why}"
            except Exception as error:  # whatever a state or a page holds: looking goes on
                self.why = f"it cannot be looked at: {type(error).__name__}: {error}"
                log.exception("a round failed")
            async with self._news:
                self._news.notify_all()
            await asyncio.sleep(max(0.05, self._scraper.pace() - (time.monotonic() - began)))

    async def news(self) -> Look | None:
        """Waits for the next round."""
        async with self._news:
            await self._news.wait()
        return self.latest

    async def look(self) -> Look:
        """One round. Raises: StokerError, where the fleet's state cannot be read."""
        before = self.latest.state if self.latest else None
        state = before
        if state is None or time.monotonic() - self._looked >= self._state_every:
            state = await asyncio.to_thread(self._state)
            self._looked = time.monotonic()
        samples = await self._scraper.round(self._pages(state))
        clock, wall = time.monotonic(), time.time()
        points = self._now.add(clock, wall, samples, state.ready, state.wanted)
        self.history.add(points)
        fresh = state is not before
        happened = tuple(Record(wall, one) for one in _happened(before, state)) if fresh else ()
        self.history.tell(happened)
        self._pending += happened
        if clock - self._written >= STEP:
            self._write(clock, wall, samples, state)
        self.latest = Look(wall, state, points, happened, dict(self._scraper.why), self._scraper.interval)
        return self.latest

    def _write(
        self, clock: float, wall: float, samples: Mapping[str, MetricSample | None], state: FleetState
    ) -> None:
        points = self._slow.add(clock, wall, samples, state.ready, state.wanted)
        self._written = clock
        if self._file is not None:
            self._file.add(points, self._pending)
        self._pending = []

    @property
    def slowed(self) -> str:
        """What to say where the machine does not keep up; empty where it does."""
        if self._scraper.interval <= self._scraper.asked:
            return ""
        return f"this machine is busy: figures every {self._scraper.interval:g} s instead of {self._scraper.asked:g} s"


def _happened(before: FleetState | None, after: FleetState) -> tuple[Event, ...]:
    """What is worth a line: phases and restarts, not how far a start-up is; and how many replicas are wanted."""
    if before is None:
        return ()
    out = [one for one in events(before, after) if one.mark != "..." or "  " not in one.text]
    if before.wanted != after.wanted:
        why = f": {after.scaling.reason}" if after.scaling else ""
        out.insert(0, Event("fleet", f"scaled from {before.wanted} to {after.wanted} replicas{why}"))
    return tuple(out)
