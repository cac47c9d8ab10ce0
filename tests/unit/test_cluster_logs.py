"""A log that breaks off is taken up where it was: every line once, none lost."""

import queue
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from stoker.errors import Unreachable, UsageError
from stoker.fleet.target import LogLine
from stoker.system import clock
from stoker.targets.kubernetes.client import Api
from stoker.targets.kubernetes.log_reader import Life, Reader

AT = "2026-11-27T10:00:0"
LINES = [
    f"{AT}0.1Z one",
    f"{AT}0.2Z two",
    f"{AT}0.2Z two",
    f"{AT}1.9Z three",
    f"{AT}1.9Z three",
    f"{AT}3.0Z four",
]
TEXTS = [line.partition(" ")[2] for line in LINES]


class Log:
    """A container's log, of which each connection brings only so many lines."""

    def __init__(self, lines: list[str], brings: list[int], stamped: bool = True) -> None:
        self.lines, self.brings, self.stamped = lines, brings, stamped
        self.asked: list[str] = []

    def follow(self, namespace: str, pod: str, container: str, since: str) -> Iterator[str]:
        self.asked.append(since)
        there = [line for line in self.lines if not since or line[: len(AT) + 1] >= since[: len(AT) + 1]]
        most = self.brings.pop(0) if self.brings else len(there)
        yield from there[:most] if self.stamped else [line.partition(" ")[2] for line in there[:most]]
        if most < len(there):
            raise Unreachable("broke off", why="reset", fix="again")


def told(log: Any, running: bool = True, most: int = 20) -> list[str]:
    said: queue.Queue[LogLine | UsageError] = queue.Queue()
    reader = Reader(log, "ml", Life("shop-1", "engine", 0), said)
    for _ in range(most):
        reader.go_on(running)
        if reader._thread is not None:
            reader._thread.join(10)
    return [one.text for one in list(said.queue) if isinstance(one, LogLine)]


@pytest.mark.parametrize("stamped", [True, False])
@pytest.mark.parametrize("brings", [[], [0], [1], [2], [3], [4], [5, 3], [1, 2, 2, 2], [2, 3, 1, 3], [6, 6]])
def test_every_line_once_however_often_it_breaks(brings: list[int], stamped: bool) -> None:
    assert told(Log(LINES, list(brings), stamped)) == TEXTS


def test_it_goes_on_from_the_last_second() -> None:
    log = Log(LINES, [4])
    assert told(log, running=False) == TEXTS
    assert log.asked == ["", f"{AT}1Z"], "once to its end, and then no more: it has ended"


def test_who_may_not_read_is_told_once() -> None:
    class Refusing:
        def follow(self, *_: str) -> Iterator[str]:
            raise UsageError("forbidden", why="no right", fix="a Role")
            yield ""

    said: queue.Queue[LogLine | UsageError] = queue.Queue()
    reader = Reader(Refusing(), "ml", Life("shop-1", "engine", 0), said)  # type: ignore[arg-type]
    reader.go_on(True)
    assert isinstance(said.get(timeout=10), UsageError)


@pytest.mark.parametrize(("header", "pause"), [("3", 3.0), ("900", 10.0), ("soon", 1.0), (None, 1.0)])
def test_a_server_that_starts_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, header: str | None, pause: float
) -> None:
    now = [100.0]
    pauses: list[float] = []

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(clock, "sleep", wait)
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    status = {"message": "storage is (re)initializing", "code": 429}
    busy = httpx2.Response(429, headers={"retry-after": header} if header else {}, json=status)
    answers = [busy, busy, httpx2.Response(200, json={"kind": "Pod"})]

    class Http:
        timeout = httpx2.Timeout(1.0)

        def request(self, *_: Any, **__: Any) -> httpx2.Response:
            return answers.pop(0) if answers else busy

    api = object.__new__(Api)
    api._http, api._ahead, api.context = Http(), 0.0, "test"  # type: ignore[assignment]
    assert api.get("Pod", "ml", "shop-1") == {"kind": "Pod"}
    assert pauses == [pause, pause]
    with pytest.raises(Unreachable) as raised:
        api.get("Pod", "ml", "shop-1")
    assert "initializing" in (raised.value.finding.why or "")
    assert sum(pauses[2:]) <= 60, "for a minute, and not for ever"
