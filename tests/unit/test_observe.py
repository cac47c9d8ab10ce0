"""Scraping and keeping: an hour in memory, a day in a file, and what is news."""

import asyncio
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from stoker.events import Event
from stoker.fleet.points import Point
from stoker.fleet.state import FleetState, Replica
from stoker.observe import History, Narrowed, Record, Scraper, Watcher
from stoker.observe.store import File, kept

GOOD = b"vllm:num_requests_running 3\nvllm:generation_tokens_total 10\n"


@pytest.mark.parametrize("can", [True, False])
def test_only_what_is_read_is_asked_for_where_the_engine_can_do_that(can: bool) -> None:
    asked: list[str] = []

    async def get(path: str) -> tuple[int, bytes]:
        asked.append(path.partition("?")[0])
        if path == "/metrics":
            return 200, b"# whole\n" + GOOD
        return (200, b"# narrow\n" + GOOD) if can else (200, b"")

    async def run() -> None:
        narrowed = Narrowed(get)
        pages = [await narrowed.page() for _ in range(2)]
        assert all(page.startswith(b"# narrow" if can else b"# whole") for page in pages)

    asyncio.run(run())
    assert asked == (["/metrics/", "/metrics/"] if can else ["/metrics/", "/metrics", "/metrics"])


def test_a_busy_machine_widens_the_interval_and_narrows_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"used": 1.0, "at": 50.0}
    clock = SimpleNamespace(thread_time=lambda: now["used"], monotonic=lambda: now["at"])
    monkeypatch.setattr("stoker.observe.scrape.time", clock)
    scraper = Scraper(1.0)
    paces = []
    for used, passed in ((0.9, 1.0), (1.8, 2.0), (0.0, 4.0), (0.0, 2.0), (0.0, 1.0)):
        now["used"] += used
        now["at"] += passed
        paces.append(scraper.pace())
    assert paces == [2.0, 4.0, 2.0, 1.0, 1.0]


def test_an_hour_is_kept_and_no_more() -> None:
    history = History(rounds=10)
    for second in range(25):
        points = [Point(float(second), running=float(second), ready=2)]
        points += [Point(float(second), "1", running=1.0)] if second < 12 else []
        history.add(points)
    assert [one.at for one in history.points()] == [float(n) for n in range(15, 25)]
    assert history.points()[0].ready == 2
    assert history.points(since=22.0)[0].running == 22.0
    assert len(history.points(most=3)) == 3
    assert history.replicas == (), "one that left more than an hour ago"


def test_a_day_is_kept_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    file, now = File(path), time.time()
    file.add([Point(now - 90000.0, running=1.0)])
    file._pruned = 0.0
    file.add(
        [Point(now, ready=1, running=2.0), Point(now, "1", ttft_p99=0.5)],
        [Record(now, Event("replica 1", "Ready"))],
    )
    assert path.stat().st_mode & 0o777 == 0o600
    points, events = kept(path, 0.0)
    assert points == (Point(now, ready=1, running=2.0), Point(now, "1", ttft_p99=0.5))
    assert events == (Record(now, Event("replica 1", "Ready")),)
    assert kept(tmp_path / "none", 0.0) == ((), ())
    assert kept(path, now + 1) == ((), ())


@pytest.mark.parametrize("rubbish", [b"not a database, but longer than a header of one would be" * 20, b""])
def test_a_broken_file_is_begun_anew(tmp_path: Path, rubbish: bytes) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(rubbish)
    assert kept(path, 0.0) == ((), ())
    file = File(path)
    file.add([Point(1.0)])
    assert file.why == ""


def test_a_watcher_tells_what_happened() -> None:
    async def run() -> None:
        states = [
            FleetState(
                "shop", "local", 0.0, wanted=1, replicas=(Replica("1", "Loading", 0.0, detail="1 of 2 GiB"),)
            ),
            FleetState("shop", "local", 1.0, wanted=2, replicas=(Replica("1", "Ready", 0.0),)),
        ]
        watcher = Watcher(
            lambda: states.pop(0) if len(states) > 1 else states[0], lambda _: {}, state_every=0.0
        )
        await watcher.look()
        look = await watcher.look()
        said = [f"{one.event.subject} {one.event.text}" for one in look.events]
        assert said == ["fleet scaled from 1 to 2 replicas", "replica 1 Ready"]
        assert [one.at for one in watcher.history.events] == [one.at for one in look.events]

    asyncio.run(run())


def test_an_event_is_news_once_and_a_slow_listener_misses_none() -> None:
    history = History(10)
    for n in range(3):
        history.tell([Record(float(n), Event("fleet", str(n)))])
    assert [one.event.text for one in history.news(1)] == ["1", "2"]
    assert history.news(3) == []
    assert len(history.news(0)) == 3


def test_a_clock_that_was_set_back_leaves_times_in_order() -> None:
    history = History(100)
    for at in (100.0, 101.0, 102.0, 60.0, 61.0):
        history.add([Point(at, running=at)])
    assert [one.at for one in history.points()] == [60.0, 61.0]


def test_a_file_that_another_writes_is_not_thrown_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stoker.observe.store.BUSY_SECONDS", 0.0)
    path = tmp_path / "history.sqlite"
    File(path).add([Point(time.time(), running=1.0)])
    with sqlite3.connect(path) as other:
        other.execute("alter table points rename column running to ran")
        other.execute("begin immediate")
        other.execute("insert into events values (0, '', '', '')")
        assert "locked" in File(path).why
        assert other.execute("select count(*) from points").fetchone() == (1,)
