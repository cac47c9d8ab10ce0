"""Logs beside their writers: processes that write while their log is rotated, and readers that wait for
more."""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from stoker.system import rotation
from stoker.system.files import parts
from stoker.system.rotation import Reader, rotate
from stoker.targets.local.folder import Folder
from stoker.targets.local.log_files import opened, written_by
from stoker.targets.local.logs import follow_logs

SIZE = 64 * 1024
COUNTING = """
import itertools, os, select
for n in itertools.count():
    if n % 1000 == 0 and select.select([0], [], [], 0)[0]:
        break
    os.write(1, b"line %d\\n" % n)
os.write(2, b"%d" % n)
"""
WRITER = [sys.executable, "-c", COUNTING]  # writes until its input is closed, then says how many lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "engine-1.1.log"


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def numbered(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux cuts a file's head off")
def test_no_line_of_a_busy_writer_is_lost(log: Path, tmp_path: Path) -> None:
    if not _collapses(tmp_path / "try"):
        pytest.skip("this file system cannot cut a file's head off")
    reader, got, done = Reader(log), list[str](), threading.Event()

    def read() -> None:
        while not done.wait(0.001):  # a reader without a pause would keep the lock
            got.extend(reader.lines())

    thread = threading.Thread(target=read)
    thread.start()
    pipe = subprocess.PIPE
    with log.open("ab") as out, subprocess.Popen(WRITER, stdin=pipe, stdout=out, stderr=pipe) as writer:
        while len(parts(log)) <= 3:
            with contextlib.suppress(BlockingIOError):
                rotate(log, SIZE, keep=1000)
        _, written = writer.communicate()
    done.set()
    thread.join()
    assert [*got, *reader.lines()] == numbered(0, int(written))


def _collapses(path: Path) -> bool:
    path.write_bytes(b"x" * 3 * SIZE)
    with path.open("r+b") as file:
        return rotation._collapse(file.fileno(), SIZE)


@pytest.mark.skipif(not Path("/proc/self/fd/1").exists(), reason="only /proc tells")
def test_the_log_of_a_running_process_is_known_without_a_record(tmp_path: Path) -> None:
    first, second = tmp_path / "engine-1.1.log", tmp_path / "engine-1.2.log"
    second.write_text("")
    with opened(first) as out, subprocess.Popen(["sleep", "60"], stdout=out) as process:
        assert written_by(process.pid, tmp_path, "engine-1") == first
        process.kill()
    assert written_by(process.pid, tmp_path, "engine-1") == second
    assert written_by(process.pid, tmp_path, "engine-2").name == "engine-2.0.log"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.make()
    made.wanted_file.write_text("{}")
    return made


def test_following_goes_from_one_life_to_the_next(folder: Folder) -> None:
    first, second = folder.logs / "engine-1.1.log", folder.logs / "engine-1.2.log"
    first.write_text("one\n")
    told = follow_logs(folder, "1")
    assert next(told).text == "one"
    add(first, "two\nits last words")
    second.write_text("three\n")
    got = [next(told).text for _ in range(3)]
    assert sorted(got) == ["its last words", "three", "two"]
    assert got[0] == "two"
    folder.wanted_file.unlink()
    assert list(told) == []
