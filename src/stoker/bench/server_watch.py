"""What the engines tell of themselves during a test, once a second."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from stoker.bench.connection import clock
from stoker.engine.samples import Histogram
from stoker.errors import StokerError
from stoker.fleet.points import Window
from stoker.fleet.state import FleetState
from stoker.observe.scrape import Page, Scraper
from stoker.system.clock import now
from stoker.traffic.run import Moment, ServerSide

STATE_EVERY = 1.0
SPAN = 5.0  # seconds that a moment's rates are taken over
EVER = 1e12
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
State = Callable[[], FleetState]
PagesOf = Callable[[FleetState], Mapping[str, Page]]


class ServerWatch:
    """Looks until it is cancelled. What cannot be seen is left out: a test goes on without it."""

    def __init__(self, state: State, pages: PagesOf) -> None:
        self._state, self._pages = state, pages
        self._scraper = Scraper()
        self._short, self._whole = Window(SPAN), Window(EVER)
        self._began = 0.0
        self.timeline: list[Moment] = []
        self.latest: Moment | None = None

    async def run(self, began: Callable[[], float], warmup: float, duration: float) -> None:
        """Looks once a second. began: the clock's time of the start, 0 before it. The totals are of the
        window alone."""
        while True:
            before = clock()
            with contextlib.suppress(StokerError, OSError):
                await self._look(began(), warmup, duration)
            await asyncio.sleep(max(0.05, before + 1.0 - clock()))

    async def _look(self, began: float, warmup: float, duration: float) -> None:
        state = await asyncio.to_thread(self._state)
        samples = await self._scraper.round(self._pages(state))
        tick, wall = clock(), now()
        points = self._short.add(tick, wall, samples, state.ready, state.wanted)
        at = tick - began if began else -1.0
        if began and warmup <= at <= duration:
            self._whole.add(tick, wall, samples)
            self._began = self._began or tick
            self._ended = tick
        self.latest = Moment(round(at, 3), points[0], points[1:])
        if began:
            self.timeline.append(self.latest)

    _ended = 0.0

    def told(self) -> ServerSide:
        """What was counted within the window."""
        counters, histograms = self._whole.total()
        took = self._ended - self._began
        if took <= 0 or not (counters or histograms):
            return ServerSide()
        asked = counters.get("prefix_queries")
        rates = ("requests", "prompt_tokens", "generation_tokens", "preemptions")
        return ServerSide(
            **{name: counters[name] / took for name in rates if name in counters},
            prefix_hit_share=counters.get("prefix_hits", 0.0) / asked if asked else None,
            latencies={name: _latency(found) for name, found in histograms.items() if found.count},
        )


def _latency(found: Histogram) -> dict[str, float]:
    """Its figures; quantiles that lie in the first bucket are left out: nobody knows where in it."""
    quantiles = {name: found.quantile(share) or 0.0 for name, share in QUANTILES.items()}
    known = {name: value for name, value in quantiles.items() if value > found.bounds[0]}
    return {"count": found.count, "mean": found.sum / found.count, **known}
