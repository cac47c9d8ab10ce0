"""Time on a connection: who sends or reads too slowly, on a clock of our own."""

import asyncio
from typing import Any

import pytest

from stoker.system.bodies import Store
from stoker.system.exchange import Exchange
from stoker.system.protocol import (
    CHOKED_SECONDS,
    IDLE_SECONDS,
    LINGER_SECONDS,
    SILENT_SECONDS,
    SLOWEST,
    HttpProtocol,
)
from stoker.system.terms import Terms

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"


class Transport:
    """What was written, and how it ended."""

    def __init__(self) -> None:
        self.said, self.end, self.unsent = b"", "", 0

    def write(self, data: bytes) -> None:
        self.said += data

    def close(self) -> None:
        self.end = self.end or "closed"

    def abort(self) -> None:
        self.end = "aborted"

    def is_closing(self) -> bool:
        return bool(self.end)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.said += b"<EOF>"

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Loop:
    """A clock that stands still until it is moved; tasks are kept and not run."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def create_task(self, work: Any) -> None:
        work.close()


class Server:
    def __init__(self) -> None:
        self.refusal, self.terms, self.store = None, Terms(), Store(1 << 30)
        self.connections: set[HttpProtocol] = set()

    def crowded(self, over: int = 0) -> bool:
        return False

    async def run(self, exchange: Exchange) -> None:
        """Nobody answers."""


class Wire:
    """A connection without a socket."""

    def __init__(self) -> None:
        self.loop, self.transport = Loop(), Transport()
        self.protocol = HttpProtocol(Server())  # type: ignore[arg-type]
        self.protocol._loop = self.loop  # type: ignore[assignment]
        self.protocol.connection_made(self.transport)  # type: ignore[arg-type]

    def after(self, seconds: float) -> str:
        """How the connection ended, so many seconds later."""
        self.loop.now += seconds
        self.protocol.overdue(self.loop.now)
        return self.transport.end


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: None)
    monkeypatch.setattr("stoker.system.protocol.asyncio.get_running_loop", lambda: None)
    return Wire()


def test_who_says_nothing_is_closed_without_a_word(wire: Wire) -> None:
    assert wire.after(IDLE_SECONDS - 1) == ""
    assert wire.after(2) == "closed"
    assert wire.transport.said == b""


def test_a_head_that_drips_is_timed_out(wire: Wire) -> None:
    """However often a byte comes."""
    for _ in range(10):
        wire.protocol.data_received(b"G")
        wire.after(IDLE_SECONDS / 10 + 0.1)
    assert wire.transport.said.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_drips_is_timed_out_and_a_slow_one_is_not(wire: Wire) -> None:
    wire.protocol.data_received(HEAD)
    for _ in range(5):
        wire.protocol.data_received(b"x" * SLOWEST)
        wire.after(IDLE_SECONDS + 1)
        assert wire.transport.said == b""
    wire.protocol.data_received(b"x" * (SLOWEST - 1))
    wire.after(IDLE_SECONDS + 1)
    assert wire.transport.said.startswith(b"HTTP/1.1 408 ")
    assert wire.transport.said.endswith(b"<EOF>")
    assert wire.protocol._server.store.held == 0


def test_after_a_refusal_what_comes_is_dropped_for_a_while(wire: Wire) -> None:
    wire.protocol.data_received(b"NONSENSE\r\n\r\n")
    for _ in range(int(LINGER_SECONDS) - 2):
        assert wire.transport.end == ""
        wire.protocol.data_received(b"x" * 1000)
        wire.after(SILENT_SECONDS / 2)
    assert wire.after(SILENT_SECONDS + 0.1) == "closed"
    assert wire.transport.said.count(b"HTTP/1.1 400 ") == 1


def test_who_does_not_read_his_answer_is_left(wire: Wire) -> None:
    wire.protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert wire.after(10 * CHOKED_SECONDS) == "", "an answer may take its time"
    wire.transport.unsent = 5000
    wire.protocol.pause_writing()
    assert wire.after(CHOKED_SECONDS + 1) == ""
    wire.transport.unsent = 4000
    assert wire.after(CHOKED_SECONDS + 1) == "", "he reads, slowly"
    assert wire.after(CHOKED_SECONDS + 1) == "aborted"
