"""Small files that several processes share: written whole or not at all, and locks that end with their
holder.

What a fleet cannot do without is kept twice: `keep_json` leaves the version before beside the new one, and
every file carries a checksum, so that `kept_json` takes a file that was cut short, emptied or overwritten for
what it is.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from stoker.errors import StateBroken
from stoker.system.file_errors import broken, no_folder, reason, unwritable

T = TypeVar("T")
LARGEST = 64 << 20  # bytes of a file that is read whole
LOCK_SECONDS = 60.0
CHECKSUM = "checksum"


def write_json(path: Path, value: Any, mode: int = 0o600) -> None:
    """Replaces a file in one step: no reader ever sees half of it, and a crash keeps the old one. Raises:
    OSError."""
    _replace(path, json.dumps(value, indent=1), mode)


def write_text(path: Path, text: str, mode: int = 0o600) -> None:
    """Writes a text in one step: the old one stays until the new one is whole."""
    _replace(path, text, mode)


def keep_json(path: Path, value: dict[str, Any], durable: bool = False) -> None:
    """The same for what must not be lost: with a checksum, and the version before beside it.

    durable: on the disk before this returns, so that a power cut keeps it too. Raises: OSError.
    """
    text = json.dumps({**value, CHECKSUM: checksum(value)}, indent=1)
    with contextlib.suppress(OSError, StateBroken):
        _checked(path)  # a broken version never takes the place of a good one
        _link_previous(path)
    _replace(path, text, 0o600, durable)


def _link_previous(path: Path) -> None:
    """The version that is there becomes the one before, by a second name: no byte has to be written."""
    if previous(path).exists() and os.path.samestat(os.stat(path), os.stat(previous(path))):
        return  # the write after it failed; rename(2) would leave both names of one file
    older = path.with_name(f".{path.name}.{os.getpid()}.older")
    older.unlink(missing_ok=True)
    os.link(path, older)
    os.replace(older, previous(path))


def previous(path: Path) -> Path:
    """Where the version before is kept."""
    return path.with_name(f".{path.name}.previous")


def kept_json(path: Path, parse: Callable[[dict[str, Any]], T]) -> T | None:
    """What `keep_json` wrote, read by `parse`; the version before where that is broken; None where there is
    no file.

    Raises: StateBroken, where neither can be read.
    """
    try:
        return newest_json(path, parse)
    except StateBroken:
        with contextlib.suppress(StateBroken):
            if (older := newest_json(previous(path), parse)) is not None:
                return older
        raise


def newest_json(path: Path, parse: Callable[[dict[str, Any]], T]) -> T | None:
    """The same without the version before. Raises: StateBroken."""
    try:
        return parse(_checked(path))
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise broken(path, f"it is not what Stoker writes ({type(error).__name__}: {error})") from None


def _checked(path: Path) -> dict[str, Any]:
    """The file's value without its checksum. Raises: FileNotFoundError, StateBroken."""
    value = _read(path)
    if not isinstance(value, dict):
        raise broken(path, "it holds no object")
    said = value.pop(CHECKSUM, None)
    if said is not None and said != checksum(value):  # one of an older Stoker has none
        raise broken(path, "its checksum does not fit: it was changed or damaged")
    return value


def checksum(value: dict[str, Any]) -> str:
    """Of a file's value, without the checksum itself."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def read_json(path: Path) -> Any:
    """The file's value, or None where there is no file. Raises: StateBroken."""
    try:
        return _read(path)
    except FileNotFoundError:
        return None


def _read(path: Path) -> Any:
    """Raises: FileNotFoundError, StateBroken."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise broken(path, "it is no file")
        if found.st_size > LARGEST:
            raise broken(path, f"it has {found.st_size:,} bytes")
        text = path.read_text()
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise no_folder(path.parent, error) from None
    except (OSError, UnicodeDecodeError) as error:
        raise broken(path, reason(error)) from None
    if not text.strip("\0\n "):
        raise broken(path, "it is empty")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise broken(path, f"it is no JSON: {error}") from None


def _replace(path: Path, text: str, mode: int, durable: bool = False) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.unlink(missing_ok=True)  # never written into: it may be another name of something
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def write_secret(path: Path, text: str) -> None:
    """Writes a file that only its owner reads, in one step, and the same text beside it. Raises: OSError."""
    for one in (previous(path), path):
        _replace(one, text, 0o600)


def read_secret(path: Path) -> str | None:
    """What `write_secret` wrote, from its second copy where the first is lost; None where there is none."""
    for one in (path, previous(path)):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if text := one.read_text().strip("\0\n "):
                return text
    return None


def try_lock(path: Path) -> IO[str] | None:
    """The open, locked file, or None where another process holds it. Closing it, or dying, unlocks. Raises:
    StateBroken."""
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def share_lock(path: Path, seconds: float = LOCK_SECONDS) -> IO[str] | None:
    """The open file, locked together with whoever shares it; None where it cannot be had within `seconds`.
    Closing it unlocks."""
    deadline = time.monotonic() + seconds
    try:
        file = _open(path)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.close()
                    return None
                time.sleep(0.02)
            else:
                return file
    except (OSError, StateBroken):
        return None


def _open(path: Path) -> IO[str]:
    try:
        return open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    except OSError as error:
        raise unwritable(path, error) from None


def is_locked(path: Path) -> bool:
    """Whether some process holds the lock. Raises: StateBroken, where the file is no file."""
    try:
        file = open(path)  # noqa: SIM115  closed below
    except FileNotFoundError:
        return False
    except OSError as error:
        raise broken(path, reason(error)) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextlib.contextmanager
def locked(path: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Waits for the lock and holds it. Raises: StateBroken, where it is not had within `seconds`, or is no
    file."""
    deadline = time.monotonic() + seconds
    while (file := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise StateBroken(
                f"another command holds {path.name}",
                why=f"it was waited for {seconds:g} s",
                at=str(path),
                fix="end that command, or try again",
                rule="state-locked",
            )
        time.sleep(0.02)
    with file:
        yield


def parts(path: Path) -> list[tuple[int, Path]]:
    """The parts that a log's head was moved to (`rotation`), by number: the oldest first."""
    found = ((one.name[len(path.name) + 1 :], one) for one in path.parent.glob(f"{path.name}.*"))
    return sorted((int(number), one) for number, one in found if number.isdigit())


def tail(path: Path, lines: int = 600, size: int = 512 * 1024) -> list[str]:
    """The last lines of a text file, and of its last part where it has just been rotated; empty where there
    is none."""
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
    except OSError:
        return None
