"""Who may not read logs sees the fleet without what they said; who may sees all of it."""

import json
import time
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from stoker.catalog.rules import rule
from stoker.events import Event
from stoker.fleet.diff import events
from stoker.fleet.state import FleetState, Replica, Service, Stopped
from stoker.observe import Record
from stoker.observe.watch import Look
from stoker.system import clock
from stoker.ui.console.api import api
from stoker.ui.console.live import Live
from stoker.ui.console.settings import Settings

SECRET = "ValueError: prompt of /home/anna/plan.txt: no such layer"
CAUSE = rule("engine-error").finding("/home/anna/plan.txt", line=SECRET)
FLEET = FleetState(
    "shop",
    "local",
    clock.now(),
    2,
    wanted=3,
    replicas=(
        Replica("1", "Failed", 1.0, detail=SECRET, last_error=SECRET, restarts=1, cause=CAUSE),
        Replica("2", "Ready", 1.0, detail="2 requests to finish"),
        Replica("3", "Loading", 1.0, detail="weights 40 %"),
    ),
    services=(
        Service("gateway", "Failed", 1.0, last_error=SECRET),
        Service(
            "weights",
            "Starting",
            1.0,
            detail=f"the copy's container copy: CrashLoopBackOff: {SECRET}",
            cause=rule("copy-failed").finding(words=SECRET),
        ),
    ),
    stopped=Stopped(2, 1, "replica 1", SECRET),
)


class Nowhere:
    """A fleet that nobody asks."""

    interval = state_every = 1.0

    def state(self) -> FleetState:
        return FLEET

    def spec(self) -> None:
        return None

    def stamp(self) -> object:
        return None

    def pages(self, state: FleetState) -> dict[str, Any]:
        return {}

    def log(self, name: str) -> list[str]:
        return []

    def scale(self, count: int) -> None: ...

    def restart(self) -> None: ...

    def file(self) -> None:
        return None


@pytest.fixture
def live() -> Live:
    found = Live(Nowhere())
    found.watcher.latest = Look(FLEET.at, FLEET, ())
    told = [
        *events(None, FLEET),
        Event("replica 1", f"restarted: {SECRET}", "warn"),
        Event("fleet", "scaled from 1 to 3"),
    ]
    found.watcher.history.tell([Record(FLEET.at, one) for one in told])
    return found


async def answered(live: Live, path: str, key: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the route says to another user of this machine, with or without the key; of a stream its begin."""
    monkeypatch.setattr("stoker.system.peers.is_own", lambda *_: False)
    routes = {one.path: one for one in api(live, Settings("http://127.0.0.1:1", "m", key="hush"))}
    route = routes[path]
    assert isinstance(route, Route)
    headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
    ends = {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers, **ends}
    answer = await route.endpoint(Request(scope))
    if not isinstance(answer, StreamingResponse):
        return bytes(answer.body).decode()
    begin = [await anext(answer.body_iterator) for _ in range(2)]  # type: ignore[call-overload]
    return b"".join(begin).decode()


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/api/now", "/api/stream"])
async def test_what_a_log_said_is_for_who_may_read_it(
    path: str, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SECRET in await answered(live, path, "hush", monkeypatch)
    for key in ("", "wrong"):
        told = await answered(live, path, key, monkeypatch)
        assert "plan.txt" not in told
        assert "ValueError" not in told


@pytest.mark.asyncio
async def test_history_is_figures(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    told = json.loads(await answered(live, "/api/history", "", monkeypatch))
    assert set(told) == {"columns", "replica", "rows"}


def test_all_else_is_as_before(live: Live) -> None:
    full, bare = live.now(), live.now(reads=False)
    assert [one["words"] for one in bare["state"]["replicas"]] == ["", "", ""]
    assert bare["state"]["replicas"][0]["cause"]["rule"] == "engine-error"
    assert full["state"]["replicas"][0]["cause"]["what"] == SECRET
    assert bare["state"]["replicas"][1:] == full["state"]["replicas"][1:]
    assert bare["state"]["services"][1]["detail"] == "the copy's container copy: CrashLoopBackOff"
    assert len(bare["findings"]) == len(full["findings"]) > 0
    assert {one["why"] for one in bare["findings"]} == {""}
    assert all(one["what"] and one["fix"] for one in bare["findings"])
    changed = {"state", "findings"}
    assert {k: v for k, v in bare.items() if k not in changed} == {
        k: v for k, v in full.items() if k not in changed
    }


@pytest.mark.asyncio
async def test_events_keep_what_happened(live: Live) -> None:
    begin = (await anext(live.stream(reads=False))).decode()
    told = {one["text"] for one in json.loads(begin.partition("data: ")[2])}
    assert {"restarted", "Failed", "Loading  weights 40 %", "scaled from 1 to 3"} <= told
    assert "stopped: replica 1 failed" in told


def test_why_an_action_failed_may_be_a_logs_line(live: Live) -> None:
    live._failed, live._failed_at = f"replica 1 failed: {SECRET}", time.monotonic()
    assert live.now()["why"].endswith(SECRET)
    assert live.now(reads=False)["why"] == "replica 1 failed"
