"""What the console's page is told: the whole of it once, then what is new, each round."""

import asyncio
import contextlib
import json
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from stoker.advise.why import why
from stoker.bench.notice import LastTest, running
from stoker.errors import StokerError
from stoker.fleet.points import COLUMNS, Point
from stoker.fleet.state import FleetState, Replica, Service
from stoker.observe import Watcher
from stoker.observe.store import FIGURES, Record
from stoker.observe.watch import Look
from stoker.system import clock
from stoker.ui.console import foresight, redaction
from stoker.ui.console.source import Source

QUIET_SECONDS = 2.0  # a stream says something at least so often, so that a lost one is noticed
UNWELL_SECONDS = 5.0
FAILED_SECONDS = 30.0  # for which a visitor is told that an action failed
MOST = 900  # points of a chart


class Live:
    """One fleet, watched for all visitors together."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.watcher = Watcher(
            source.state,
            source.pages,
            interval=source.interval,
            state_every=source.state_every,
            stamp=source.stamp,
            file=source.file(),
        )
        self.busy = ""
        self._failed, self._failed_at = "", 0.0
        self._acting: set[asyncio.Task[None]] = set()
        self._foresight = foresight.Foresight()

    def now(self, reads: bool = True) -> dict[str, Any]:
        """The fleet as it is, with what is wrong; without what logs said for who may not read them."""
        look = self.watcher.latest
        told = self._now(look, self._why(reads))
        return told if reads else redaction.now(told, look.state if look else None)

    def _now(self, look: Look | None, why: str) -> dict[str, Any]:
        if look is None:
            return {"at": clock.now(), "why": why or "looking", "busy": self.busy}
        state = look.state
        return {
            "at": look.at,
            "why": why,
            "busy": self.busy,
            "slowed": self.watcher.slowed,
            "state": _state(state),
            "test": running(state.name),
            "tested": foresight.summary(self._tested(look)),
            "silent": dict(look.silent),
            "findings": _findings(state),
            "points": {one.replica: _figures(one) for one in look.points},
        }

    def _why(self, reads: bool) -> str:
        """What is wrong: the last action's failure for a while, else why the fleet cannot be looked at."""
        fresh = time.monotonic() - self._failed_at < FAILED_SECONDS
        if not self._failed or not fresh:
            return self.watcher.why
        return self._failed if reads else self._failed.partition(": ")[0]

    def history(self, since: float, replica: str = "") -> dict[str, Any]:
        """Columns of points, oldest first."""
        points = self.watcher.history.points(clock.now() - since, replica, MOST)
        return {
            "columns": list(COLUMNS),
            "replica": replica,
            "rows": [_figures(one) for one in points],
        }

    async def stream(self, reads: bool = True) -> AsyncIterator[bytes]:
        """Server-sent events: `now` each round, `happened` as it comes; `reads` as in `now`."""
        history, told = self.watcher.history, self.watcher.history.told
        yield _sse("happened", _events(history.events, reads))
        yield _sse("now", self.now(reads))
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.watcher.news(), QUIET_SECONDS)
            if fresh := history.news(told):
                told = history.told
                yield _sse("happened", _events(fresh, reads))
            yield _sse("now", self.now(reads))

    async def log(self, name: str) -> list[str]:
        """The last lines of a replica's log, or a service's. Raises: StokerError."""
        return await asyncio.to_thread(self.source.log, name)

    def _tested(self, look: Look | None) -> LastTest | None:
        """The newest load test that can be played again."""
        return None if look is None else foresight.recent(look.state.name, look.at)

    async def foresee(self, sets: Sequence[str]) -> dict[str, Any]:
        """The newest load test on a virtual clock, with these fields. Raises: ValueError, StokerError."""
        test = self._tested(self.watcher.latest)
        if test is None:
            raise ValueError("no load test of this fleet in the last hour: `stoker bench`")
        spec = await asyncio.to_thread(self.source.spec)
        if spec is None:
            raise ValueError("nobody knows the spec of this endpoint: a fleet's own console does")
        return await self._foresight.play(spec, test, sets)

    async def act(self, what: str, count: int = 0) -> str:
        """Scales or restarts; returns at once, or with what is wrong if that shows soon."""
        if self.busy:
            return f"busy: {self.busy}"
        self._failed = ""
        self.busy = f"scaling to {count}" if what == "scale" else "restarting"
        said: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._act(what, count, said))
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)
        done, _ = await asyncio.wait([said], timeout=1.0)
        return said.result() if done else ""

    async def _act(self, what: str, count: int, said: "asyncio.Future[str]") -> None:
        try:
            await asyncio.to_thread(self.source.scale, count) if what == "scale" else await asyncio.to_thread(
                self.source.restart
            )
            wrong = ""
        except StokerError as error:
            wrong = f"{error.finding.what}: {error.finding.why}"
        except Exception as error:
            wrong = f"unexpected: {type(error).__name__}: {error}"
        finally:
            self.busy = ""
        self._failed, self._failed_at = wrong, time.monotonic()
        if not said.done():
            said.set_result(wrong)


def _sse(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def _state(state: FleetState) -> dict[str, Any]:
    return {
        "name": state.name,
        "target": state.target,
        "revision": state.revision,
        "endpoint": state.endpoint,
        "model": state.model,
        "wanted": state.wanted,
        "ready": state.ready,
        "stopping": state.stopping,
        "command": state.command,
        "supervised": state.supervised,
        "replicas": [_replica(one) for one in state.replicas],
        "services": [_service(one) for one in state.services],
        "scaling": state.scaling.reason if state.scaling else "",
    }


def _replica(one: Replica) -> dict[str, Any]:
    return {
        "name": one.name,
        "phase": one.phase,
        "detail": one.detail,
        "since": one.since,
        "started": one.started,
        "restarts": one.restarts,
        "on": one.hardware,
        "words": one.last_error or "",
        "current": one.current,
        "ranks": [
            {"index": rank.index, "host": rank.host, "phase": rank.phase, "pid": rank.pid}
            for rank in one.ranks
        ],
        "cause": asdict(one.cause) if one.cause else None,
    }


def _service(one: Service) -> dict[str, Any]:
    told = {"role": one.role, "phase": one.phase, "detail": one.detail, "restarts": one.restarts}
    return {**told, "cause": asdict(one.cause) if one.cause else None}


def _findings(state: FleetState) -> list[dict[str, str]]:
    """What `why` would say of what has not been well for some seconds."""
    late = [one for one in state.replicas if one.phase != "Ready" and state.at - one.since > UNWELL_SECONDS]
    if not late and not state.evidence:
        return []
    found = [one for one in why(state, state.at) if one.rule != "why-unknown"]
    return [asdict(one) for one in found[:3]]


def _figures(point: Point) -> list[float | None]:
    return [round(point.at, 2), *(_short(getattr(point, name)) for name in FIGURES)]


def _short(value: float | None) -> float | None:
    """Six digits are enough for a chart."""
    if value is None or value == 0 or isinstance(value, int):
        return value
    if not math.isfinite(value):
        return None
    return round(value, max(0, 5 - math.floor(math.log10(abs(value)))))


def _events(found: Iterable[Record], reads: bool) -> list[dict[str, Any]]:
    """What has happened, the newest last."""
    told = [_event(one) for one in found]
    return told if reads else redaction.events(told)


def _event(one: Record) -> dict[str, Any]:
    event = one.event
    return {
        "at": one.at,
        "subject": event.subject,
        "text": event.text,
        "mark": event.mark,
        "took": event.took,
    }
