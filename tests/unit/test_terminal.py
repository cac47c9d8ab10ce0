"""How progress looks: plain lines off a terminal, one live line with the time on it."""

import io

import pytest

from stoker.events import Event, Progress
from stoker.ui.terminal import ProgressPrinter, age, box, table
from stoker.units import Bytes, Seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tell(out: io.StringIO) -> str:
    printer = ProgressPrinter(out)
    printer(Progress("weights", "copying", Bytes(1024**2), Bytes(4 * 1024**2), 1024.0**2))
    printer(Event("weights", "4.0 MiB copied", took=Seconds(4)))
    printer(Event("replica 1", "Loading", "..."))
    printer(Event("replica 1", "Ready", took=Seconds(27.3)))
    printer.done()
    return out.getvalue()


def test_off_a_terminal_every_line_is_plain() -> None:
    lines = tell(io.StringIO()).splitlines()
    assert lines == [
        "  ...   weights     copying  1.0 MiB of 4.0 MiB  1.0 MiB/s  3s left",
        "  ok    weights     4.0 MiB copied  4s",
        "  ...   replica 1   Loading",
        "  ok    replica 1   Ready  27.3s",
    ]


def test_on_a_terminal_the_live_line_goes_and_the_cursor_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    said = tell(Terminal())
    assert "replica 1   Loading" in said
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 2
    assert "Ready  27.3s" in said.rsplit("\x1b[2K", 1)[1]


def test_ages_are_in_one_unit() -> None:
    assert [age(s) for s in (0.4, 59, 60, 3599, 7200, 200000)] == ["0s", "59s", "1m", "59m", "2h", "2d"]


def test_tables_and_boxes() -> None:
    assert table([["A", "N"], ["x", "10"]], right=frozenset({1})) == "A   N\nx  10"
    out = io.StringIO()
    box(["one", "three"], out)
    assert out.getvalue().splitlines()[1:3] == [" one", " three"]
