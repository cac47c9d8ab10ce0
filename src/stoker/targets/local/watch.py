"""Watching one child: its start-up out of its log, its health, its figures, and whether it still makes
progress."""

import asyncio
import contextlib
import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from stoker.engine.log import StartLog
from stoker.engine.samples import MetricSample, read
from stoker.fleet.state import Sample
from stoker.observe import Narrowed
from stoker.spec.addresses import reached
from stoker.system import clock
from stoker.system.files import read_secret
from stoker.system.pool import Pool, fetch
from stoker.system.rotation import Reader
from stoker.system.upstream import late
from stoker.targets.local.child import Child
from stoker.targets.local.warmup import canary, warm

STARTING_INTERVAL = 0.1
READY_INTERVAL = 1.0
HEALTH_SECONDS = 1.0
METRICS_SECONDS = 2.0
START_SECONDS = 1800.0  # in which a replica is ready, or it has hung in its start
CANARY_SECONDS = 10.0  # without a sign of life, though requests wait or have left: it is asked for one token
HANG_SECONDS = 20.0  # without an answer on /health: the process is stuck, not busy


class Watch:
    """Follows a child until it is stopped. `hung` says why it has to be restarted, if it has."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.hung: str | None = None
        self._pool = Pool(reached(child.process.host), child.port)
        self._page = Narrowed(lambda path: fetch(self._pool, path.encode(), [], METRICS_SECONDS))
        self._start = StartLog()
        self._log = Reader(child.log)
        self._begun = self._answered = time.monotonic()
        self._moved: tuple[Sample | None, float] = (None, time.monotonic())
        self._warm = not child.process.routed
        self._proved = 0.0  # when it answered a canary
        self._canary: asyncio.Task[None] | None = None
        self.silent_since: float | None = None  # of the gateway's own requests there, by its own count
        self.asked: Collection[str] = ()  # what the fleet's clients have asked for before
        self._task = asyncio.get_running_loop().create_task(self._run())

    def stop(self) -> None:
        """No more watching."""
        self._task.cancel()
        if self._canary is not None:
            self._canary.cancel()
        self._pool.close()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(Exception):
                await self._once()
            await asyncio.sleep(READY_INTERVAL if self.child.ever_ready else STARTING_INTERVAL)

    async def _once(self) -> None:
        child = self.child
        if not child.ever_ready and child.process.routed:
            self._read_log()
        well = await self._well()
        if well and not self._warm and not child.ever_ready and not child.leaving:
            await self._warm_up()
        if well:
            self._answered = time.monotonic()
            if not child.leaving and child.phase != "Ready":
                child.become("Ready")
        elif child.phase == "Ready" and time.monotonic() - self._answered > 2 * HEALTH_SECONDS:
            child.detail = "does not answer /health"
        if not child.ever_ready and child.process.routed and time.monotonic() - self._begun > START_SECONDS:
            self.hung = f"it was not ready within {START_SECONDS:.0f} s"
        if child.ever_ready and time.monotonic() - self._answered > HANG_SECONDS:
            self.hung = f"/health has not answered for {HANG_SECONDS:.0f} s"
        if well:
            child.detail = "" if child.phase == "Ready" else child.detail
        if well and child.process.routed:
            with contextlib.suppress(OSError, TimeoutError):
                await self._sample()
            self._check_progress()

    async def _well(self) -> bool:
        began = time.monotonic()
        if not self.child.process.health:
            return True
        try:
            status, _ = await fetch(self._pool, self.child.process.health.encode(), [], HEALTH_SECONDS)
        except TimeoutError:
            if late(began, HEALTH_SECONDS):
                self._answered = (
                    time.monotonic()
                )  # this process itself had no time: nothing is known of the child
            return False
        except OSError:
            return False
        return status == 200 or not self.child.process.routed

    def _read_log(self) -> None:
        child = self.child
        for line in self._log.lines(1 << 20):
            self._start = self._start.feed(line)
        if not child.leaving and self._start.phase in ("Starting", "Loading", "Warming"):
            child.become(self._start.phase, self._start.detail)

    async def _prove(self) -> None:
        """Asks for one token: who answers is alive, whatever its clients thought before they left."""
        with contextlib.suppress(OSError, TimeoutError):
            await canary(self._pool, self._key(), self.child.process.stall)
            self._proved = time.monotonic()

    async def _sample(self) -> None:
        status, page = await self._page()
        if status != 200:
            return
        now = clock.now()
        self.child.sample = Sample.of(read(page, now) or MetricSample(now))

    async def _warm_up(self) -> None:
        """Its first requests are ours. One that is lost here has ended, or is asked again at the next
        look."""
        self.child.become("Warming", "its first requests")
        limit = self.child.process.stall
        try:
            await warm(self._pool, self._key(), self.asked, limit)
        except TimeoutError:
            self.hung = f"its first requests were not answered within {limit:g} s (stall_timeout)"
            raise
        self._warm = True

    def _key(self) -> str | None:
        path = self.child.process.key_env.get("VLLM_API_KEY")
        return read_secret(Path(path)) if path else None

    def _check_progress(self) -> None:
        """Hung is what has requests, by its own word or the gateway's, and shows no sign of work for a while.

        An engine's gauges move only when a step returns: one that hangs in its first step reads as idle for
        ever.
        """
        sample, now = self.child.sample, time.monotonic()
        figures = replace(sample, at=0.0) if sample else None
        if figures != self._moved[0]:
            self._moved = figures, now
        silent = self.silent_since
        if silent is None and not (sample and sample.running):
            self._moved = figures, now
            return
        still = now - max(self._moved[1], silent or 0.0, self._proved)
        if still > CANARY_SECONDS and silent is not None and (self._canary is None or self._canary.done()):
            self._canary = asyncio.get_running_loop().create_task(self._prove())
        if still > self.child.process.stall:
            self.hung = f"requests are waiting there, and nothing has moved for {still:.0f} s"

    async def idle(self) -> bool:
        """Whether the engine itself says that nothing runs or waits there."""
        try:
            status, page = await self._page()
        except (OSError, TimeoutError):
            return False
        found = read(page, clock.now())
        gauges = found.gauges if found else {}
        return status == 200 and not gauges.get("running") and not gauges.get("waiting")
