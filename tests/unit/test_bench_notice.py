"""The notice of a load test: there while it is fresh, gone with the test, and never an error. What it sends
is kept, to be played again."""

from pathlib import Path

import pytest

from stoker.bench.notice import FRESH, last, notice, running
from stoker.system import clock, paths


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))


def test_a_notice_is_seen_while_the_test_runs() -> None:
    assert running("shop") is None
    with notice("shop") as board:
        board.tell("3s of 60s", 0.05)
        assert running("shop") == {"text": "3s of 60s", "share": 0.05}
        assert running("other") is None
    assert running("shop") is None


def test_a_notice_of_a_test_that_is_gone_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with notice("shop") as board:
        board.tell("3s", None)
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now + FRESH + 1)
        assert running("shop") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": "x", "text": "y"}', "{"])
def test_a_broken_notice_is_none(text: str) -> None:
    path = paths.running_test("http://127.0.0.1:8000")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert running("http://127.0.0.1:8000") is None


def test_what_a_test_sends_is_kept_after_it(tmp_path: Path) -> None:
    assert last("shop") is None
    with notice("shop") as board:
        board.begin({"rate": 5, "trace": "day.csv"}, tmp_path / "loads", tmp_path / "run")
    found = last("shop")
    assert found is not None
    assert (found.words, found.base) == ({"rate": 5, "trace": "day.csv"}, str(tmp_path / "loads"))
    assert found.results == str(tmp_path / "run")
    assert clock.now() - found.at < 60
    assert paths.last_test("shop").stat().st_mode & 0o077 == 0


def test_files_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with notice("shop") as board:
        board.begin({}, None, Path("run"))
    found = last("shop")
    assert found is not None
    assert (found.base, found.results) == (str(tmp_path), str(tmp_path / "run"))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": "x"}', "{"])
def test_a_broken_record_of_it_is_none(text: str) -> None:
    path = paths.last_test("shop")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert last("shop") is None
