"""Small files that several processes share: written whole or not at all, and locks that end with their holder."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


def write_json(path: Path, value: Any, mode: int = 0o600) -> None:
    """Replaces a file in one step: no reader ever sees half of it, and a crash keeps the old one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        json.dump(value, file, indent=1)
    os.replace(partial, path)


def read_json(path: Path) -> Any:
    """The file's value, or None where there is no file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def write_secret(path: Path, text: str) -> None:
    """Writes a file that only its owner reads."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)


def try_lock(path: Path) -> IO[str] | None:
    """The open, locked file, or None where another process holds it. Closing it, or dying, unlocks."""
    file = open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")  # noqa: SIM115  the caller keeps it open
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock."""
    if not path.exists():
        return False
    file = try_lock(path)
    if file is None:
        return True
    file.close()
    return False


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Waits for the lock and holds it."""
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def parts(path: Path) -> list[tuple[int, Path]]:
    """The parts that a log's head was moved to (`rotation`), by number: the oldest first."""
    found = ((one.name[len(path.name) + 1 :], one) for one in path.parent.glob(f"{path.name}.*"))
    return sorted((int(number), one) for number, one in found if number.isdigit())


def tail(path: Path, lines: int = 600, size: int = 512 * 1024) -> list[str]:
    """The last lines of a text file, and of its last part where it has just been rotated; empty where there is none."""
    text = _end(path, size)
    if text is None:
        return []
    if len(text) < size and (rotated := parts(path)):
        text = (_end(rotated[-1][1], size - len(text)) or b"") + text
    return text.decode("utf-8", "replace").splitlines()[-lines:]


def _end(path: Path, size: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - size))
            return file.read(size)
    except FileNotFoundError:
        return None
