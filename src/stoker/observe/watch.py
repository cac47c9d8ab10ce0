"""Watching one fleet: its state, its replicas' metrics, what changed, all kept and told to whoever looks."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from stoker.engine.samples import MetricSample
from stoker.errors import StokerError
from stoker.events import Event
from stoker.fleet.diff import events
from stoker.fleet.points import Point, Window
from stoker.fleet.state import FleetState
from stoker.observe.scrape import Page, Scraper
from stoker.observe.store import HOUR, STEP, File, History, Record, kept
from stoker.system import clock

log = logging.getLogger(__name__)
SECONDS = 10.0  # what a second's rates and quantiles are taken over
GLANCE = 0.2  # seconds between two looks at whether the state has moved


@dataclass(frozen=True, slots=True)
class Look:
    """One round: the state, the points (the fleet's first), what has happened, and why a replica gave no
    figures."""

    at: float
    state: FleetState
    points: tuple[Point, ...]
    events: tuple[Record, ...] = ()
    silent: Mapping[str, str] = field(default_factory=dict)
    interval: float = 1.0


class Watcher:
    """Looks once an interval until it is cancelled. `state` is asked in a thread; `pages` names where to
    scrape.

    stamp: something cheap that differs once the state may, so that what happens between two rounds is told at
    once.
    """

    def __init__(
        self,
        state: Callable[[], FleetState],
        pages: Callable[[FleetState], Mapping[str, Page]],
        *,
        interval: float = 1.0,
        state_every: float = 1.0,
        file: File | None = None,
        stamp: Callable[[], object] = lambda: None,
    ) -> None:
        self._state, self._pages, self._file, self._stamp = state, pages, file, stamp
        self._seen: object = None
        self._state_every = state_every
        self.history = History()
        if file is not None:
            self.history.resume(*kept(file.path, clock.now() - HOUR))
        self.latest: Look | None = None
        self._last: FleetState | None = None
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
            await self._tell()
            await self._rest(began + self._scraper.pace())

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _rest(self, until: float) -> None:
        """Until the next round. What happens meanwhile is told; what goes wrong is the next round's to
        tell."""
        await asyncio.sleep(0.05)
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, GLANCE))
            with contextlib.suppress(Exception):
                if self._stamp() != self._seen:
                    await self._glance()

    async def _glance(self) -> None:
        """The state alone, between two rounds."""
        if self.latest is None:
            return
        state, happened = await self._observe()
        if happened:
            self.latest = replace(self.latest, at=clock.now(), state=state, events=happened)
            await self._tell()

    async def _observe(self) -> tuple[FleetState, tuple[Record, ...]]:
        """The state as it is now, and what has happened since the one before, which is told once."""
        before = self._last
        self._seen = self._stamp()  # before the state: what is written after it is seen again
        state = await asyncio.to_thread(self._state)
        happened = tuple(Record(clock.now(), one) for one in _happened(before, state))
        self._last, self._looked = state, time.monotonic()
        self.history.tell(happened)
        self._pending += happened
        return state, happened

    async def news(self) -> Look | None:
        """Waits for the next round, or for what happens before it."""
        async with self._news:
            await self._news.wait()
        return self.latest

    async def look(self) -> Look:
        """One round. Raises: StokerError, where the fleet's state cannot be read."""
        state = self._last
        happened: tuple[Record, ...] = ()
        if state is None or time.monotonic() - self._looked >= self._state_every:
            state, happened = await self._observe()
        samples = await self._scraper.round(self._pages(state))
        tick, wall = time.monotonic(), clock.now()
        points = self._now.add(tick, wall, samples, state.ready, state.wanted)
        self.history.add(points)
        if tick - self._written >= STEP:
            self._write(tick, wall, samples, state)
        self.latest = Look(wall, state, points, happened, dict(self._scraper.why), self._scraper.interval)
        return self.latest

    def _write(
        self, tick: float, wall: float, samples: Mapping[str, MetricSample | None], state: FleetState
    ) -> None:
        points = self._slow.add(tick, wall, samples, state.ready, state.wanted)
        self._written = tick
        if self._file is not None:
            self._file.add(points, self._pending)
        self._pending = []

    @property
    def slowed(self) -> str:
        """What to say where the machine does not keep up; empty where it does."""
        if self._scraper.interval <= self._scraper.asked:
            return ""
        return (
            f"this machine is busy: figures every {self._scraper.interval:g} s instead of "
            f"{self._scraper.asked:g} s"
        )


def _happened(before: FleetState | None, after: FleetState) -> tuple[Event, ...]:
    """What is worth a line: phases and restarts, not how far a start-up is; and how many replicas are
    wanted."""
    if before is None:
        return ()
    out = [one for one in events(before, after) if one.mark != "..." or "  " not in one.text]
    if before.wanted != after.wanted and after.scaling is None:
        out.insert(0, Event("fleet", f"scaled from {before.wanted} to {after.wanted} replicas"))
    return tuple(out)
