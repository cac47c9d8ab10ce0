"""What `status` prints: sentences never widen the table, a lost readiness is told, and so is how far the
weights are."""

import io

import pytest

from stoker.fleet.state import Evidence, FleetState, Replica, Scaling, Service
from stoker.ui.board import HEAD, text
from stoker.ui.terminal import width, wrapped

NOW = 10_000.0
LONG = (
    "0/9 nodes are available: 2 node(s) had untolerated taint(s), 7 Insufficient nvidia.com/gpu. "
    + "preemption: 0/9 nodes are available: 9 Preemption is not helpful for scheduling."
)


def board(*replicas: Replica, columns: int = 80, **more: object) -> list[str]:
    state = FleetState("shop", "kubernetes/ml", NOW, 3, "http://shop.ml:8000", wanted=2, replicas=replicas)
    for name, value in more.items():
        object.__setattr__(state, name, value)
    return text(state, columns=columns).splitlines()


def table_width(lines: list[str]) -> int:
    return max(len(line) for line in lines if line.startswith(("REPLICA", "shop-")))


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_long_sentence_stands_under_its_row(columns: int) -> None:
    ready = Replica("shop-1", "Ready", NOW - 60, hardware="l4-0")
    waits = Replica("shop-2", "Pending", NOW - 60, detail=LONG)
    evidence = (Evidence("event", "Pod/shop-2", "FailedScheduling", LONG, 3, NOW),)
    scaling = Scaling("shop Deployment/shop", 1, 5, 2, 2, (), LONG)
    lines = board(ready, waits, columns=columns, evidence=evidence, scaling=scaling)
    short = board(ready, Replica("shop-2", "Pending", NOW - 60), columns=columns)
    assert table_width(lines) == table_width(short)
    row = next(number for number, line in enumerate(lines) if line.startswith("shop-2"))
    assert lines[row + 1].startswith("    0/9 nodes are available")
    sentences = [line for line in lines if not line.startswith(("REPLICA", "shop", "HPA"))]
    assert max(map(len, sentences)) <= columns
    assert " ".join(" ".join(lines).split()).count("9 Preemption is not helpful") == 3, "and none is cut"


def test_a_short_word_stays_beside_its_phase() -> None:
    (row,) = [
        line
        for line in board(Replica("shop-1", "Failed", NOW, detail="CrashLoopBackOff"))
        if line.startswith("shop-1")
    ]
    assert "Failed CrashLoopBackOff" in row


def test_a_readiness_that_was_lost() -> None:
    words = "it was ready before: Readiness probe failed: HTTP probe failed with statuscode: 503"
    lines = board(Replica("shop-1", "Unready", NOW - 185, detail=words))
    assert any(line.startswith("shop-1") and "Unready" in line for line in lines)
    under = " ".join(" ".join(lines).split())
    assert f"not ready since 3m: {words}" in under


def test_how_far_the_weights_are() -> None:
    services = (
        Service("weights", "Loading", NOW - 60, detail="copying 3.1 GiB of 51.1 GiB, 410 MiB/s"),
        Service("snapshot", "Pending", NOW),
    )
    lines = board(services=services)
    assert "weights   copy Loading   snapshot Pending" in lines
    assert "    copy: copying 3.1 GiB of 51.1 GiB, 410 MiB/s" in lines
    ready = tuple(Service(role, "Ready", NOW) for role in ("weights", "snapshot", "claim"))
    assert "weights   copy Ready   snapshot Ready   claim Ready" in board(services=ready)
    assert not any(line.startswith("weights") for line in board())


def test_what_stands_beside_is_told_until_it_is_ready() -> None:
    route = Service("route", "Starting", NOW, detail="Gateway/shop: no controller has accepted it")
    lines = board(services=(route,))
    assert "the route is Starting: Gateway/shop: no controller has accepted it" in lines
    assert HEAD[0] in "\n".join(lines)


def test_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", "123")
    assert width(Terminal()) == 123
    assert width(io.StringIO()) == 80, "what is no terminal has no width of its own"
    assert wrapped("a" * 100, 80) == "a" * 100, "words are never cut: a URL can be copied"
    assert wrapped("one\ntwo", 80, "  ") == "  one\n  two"
