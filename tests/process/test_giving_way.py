"""A starter's imports on cores that others need: in pieces, with pauses; on free ones, without."""

import signal
import time
from pathlib import Path

import pytest

from stoker.targets.local.starter import giving_way as module
from stoker.targets.local.starter.giving_way import PIECE, crowded, giving_way

PIECES = 10


def share_of_a_core(pause: float) -> float:
    """What a computation of some pieces gets of it."""
    wall, cpu = time.monotonic(), time.process_time()
    with giving_way(pause):
        while time.process_time() - cpu < PIECES * PIECE:
            sum(range(1000))
    return (time.process_time() - cpu) / (time.monotonic() - wall)


def test_it_pauses_while_there_is_no_core_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "crowded", lambda: True)
    assert share_of_a_core(3 * PIECE) < 0.4
    monkeypatch.setattr(module, "crowded", lambda: False)
    began = time.monotonic()
    with giving_way(10.0):
        cpu = time.process_time()
        while time.process_time() - cpu < 2 * PIECE:
            sum(range(1000))
    assert time.monotonic() - began < 10


def test_what_was_before_is_there_again() -> None:
    before = signal.getsignal(signal.SIGPROF)
    for pause in (0.01, 0.0):
        with giving_way(pause):
            pass
        assert signal.getsignal(signal.SIGPROF) == before
        assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("text", "full"),
    [("0.1 0.2 0.3 1/300 42\n", False), ("9 9 9 100000/300000 7\n", True), ("", False), ("a b c d", False)],
)
def test_whether_a_core_is_free(
    text: str, full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loadavg").write_text(text)
    monkeypatch.setattr(module, "LOAD", tmp_path / "loadavg")
    assert crowded() is full
    monkeypatch.setattr(module, "LOAD", tmp_path / "none")
    assert crowded() is False
