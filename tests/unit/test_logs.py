"""Logs: one file a life, bounded while it is written, read without a gap while it is rotated."""

import os
from pathlib import Path

import pytest

from stoker.errors import UsageError
from stoker.system import rotation
from stoker.system.files import parts, tail
from stoker.system.rotation import Reader, rotate
from stoker.targets.local.folder import Folder
from stoker.targets.local.log_files import LIVES, Keeper, lives, new_life
from stoker.targets.local.logs import follow_logs, read_logs

SIZE = 64 * 1024


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "engine-1.1.log"


@pytest.fixture(params=["collapsed", "truncated"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the system cuts a file's head off, and where it can only be emptied."""
    if request.param == "truncated":
        monkeypatch.setattr(rotation, "_collapse", lambda _file, _size: False)
    return str(request.param)


def write(path: Path, first: int, last: int) -> None:
    with path.open("a") as file:
        file.writelines(f"line {number}\n" for number in range(first, last))


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last)]


def test_a_full_log_moves_to_a_part_and_its_writer_goes_on(log: Path, either_way: str) -> None:
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a line\n" * SIZE)
        assert rotate(log, SIZE)
        writer.write(b"the next\n")
        assert log.stat().st_size <= 4096 + len("the next\n")
    assert list(Reader(log).lines())[-2:] == ["a line", "the next"]
    assert not rotate(log, SIZE), "nothing to do"


@pytest.mark.parametrize("keep", [1, 2])
def test_only_so_many_parts_are_kept(log: Path, keep: int) -> None:
    for _ in range(4):
        add(log, "a line\n" * SIZE)
        rotate(log, SIZE, keep)
    assert [number for number, _ in parts(log)] == [3, 4][-keep:]
    assert {path.stat().st_mode & 0o777 for _, path in parts(log)} == {0o600}


def test_a_reader_gets_each_line_once_however_often_the_log_is_rotated(log: Path, either_way: str) -> None:
    reader, got = Reader(log), []
    for first in range(0, 60_000, 10_000):
        write(log, first, first + 10_000)
        if first % 20_000:
            got += list(reader.lines())
        rotate(log, SIZE, keep=2)
    assert [*got, *reader.lines()] == numbered(0, 60_000)


def test_a_reader_that_comes_too_late_goes_on_with_what_is_left(log: Path) -> None:
    reader = Reader(log)
    write(log, 0, 10_000)
    assert len(list(reader.lines())) == 10_000
    for first in range(10_000, 50_000, 10_000):
        write(log, first, first + 10_000)
        rotate(log, SIZE, keep=1)
    late = list(reader.lines())
    assert late[-1] == "line 49999"
    assert len(late) < 40_000
    assert late[1:] == numbered(50_000 - len(late) + 1, 50_000), "in order, without a gap"


def test_half_a_line_waits_for_its_end(log: Path) -> None:
    reader = Reader(log)
    log.write_text("one\ntw")
    assert list(reader.lines()) == ["one"]
    add(log, "o\nthr")
    assert (list(reader.lines()), list(reader.rest())) == (["two"], ["thr"])


def test_last_error_are_found_across_a_rotation(log: Path, either_way: str) -> None:
    write(log, 0, 20_000)
    rotate(log, SIZE)
    write(log, 20_000, 20_003)
    assert tail(log, 600) == numbered(20_003 - 600, 20_003)


def test_each_life_has_a_log_of_its_own_and_the_last_few_are_kept(tmp_path: Path) -> None:
    for _ in range(LIVES + 2):
        path = new_life(tmp_path, "engine-1")
        path.write_text(path.name)
    (tmp_path / f"{path.name}.1").write_text("a part")
    new_life(tmp_path, "engine-10").write_text("")
    running = lives(tmp_path, "engine-1")[0]
    Keeper(tmp_path, tuple).look({running})
    names = [path.name for path in lives(tmp_path, "engine-1")]
    assert names == ["engine-1.1.log", "engine-1.3.log", "engine-1.4.log", "engine-1.5.log"]
    assert new_life(tmp_path, "engine-1").name == "engine-1.6.log"
    assert (tmp_path / "engine-1.5.log.1").exists()


def test_a_full_disk_is_told_once_and_ends_nothing(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_file: int, _data: object) -> int:
        raise OSError(28, os.strerror(28))

    log.write_bytes(b"x" * (rotation.PART_BYTES + 1))
    monkeypatch.setattr(os, "write", full)
    keeper = Keeper(tmp_path, tuple)
    for _ in range(3):
        keeper.look(())
    assert [record.getMessage() for record in caplog.records] == [
        f"{log.name} cannot be kept small: {os.strerror(28)}"
    ]
    assert parts(log) == []
    add(log, "x" * rotation.PART_BYTES)
    keeper.look(())
    assert log.stat().st_size <= 4096, "no room to keep it: the end stays"
    monkeypatch.undo()
    add(log, "x" * (rotation.PART_BYTES + 1))
    keeper.look(())
    assert len(parts(log)) == 1, "there is room again"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.make()
    made.wanted_file.write_text("{}")
    return made


def test_previous_is_the_life_before(folder: Folder) -> None:
    (folder.logs / "engine-1.9.log").write_text("the crash\n")
    (folder.logs / "engine-1.10.log").write_text("again\n")
    (folder.logs / "gateway.1.log").write_text("the gateway\n")
    assert [(one.source, one.text) for one in read_logs(folder, None)] == [
        ("1", "again"),
        ("gateway", "the gateway"),
    ]
    assert [one.text for one in read_logs(folder, None, previous=True)] == ["the crash"]
    with pytest.raises(UsageError, match="gateway has no earlier life"):
        read_logs(folder, "gateway", previous=True)
    for wrong in (read_logs, follow_logs):
        with pytest.raises(UsageError, match="no log of '2'"):
            wrong(folder, "2")
