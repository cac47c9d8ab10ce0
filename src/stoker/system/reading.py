"""Reading a file that somebody else wrote: regular ones alone, and no more of them than is expected."""

import os
import stat
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

LONGEST_LINE = 16 << 20  # bytes

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISCHR, "a device"),
)
# what a shell hands over in place of a file: `-f <(…)`, `-f /dev/stdin`
_HANDED = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin", "/dev/null")


class Unreadable(Exception):
    """A file that is not read. `why` and `fix` are words for the user; missing: there is nothing of that
    name."""

    def __init__(self, why: str, fix: str, missing: bool = False) -> None:
        super().__init__(why)
        self.why, self.fix, self.missing = why, fix, missing


def read(path: Path, most: int, *, handed: bool = False) -> bytes:
    """All of a regular file. handed: what a shell puts in a file's place is read too. Raises: Unreadable."""
    if not (handed and str(path).startswith(_HANDED)):
        check(path, most)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            out = file.read(most + 1)
    except OSError as error:
        raise unreadable(error) from None
    if len(out) > most:
        raise _too_long(len(out), most)
    return out


def read_text(path: Path, most: int, *, handed: bool = False) -> str:
    """The same as text. Raises: Unreadable."""
    found = read(path, most, handed=handed)
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = found.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"line {line} is no UTF-8 text", "save it as UTF-8 text") from None


def lines(path: Path, most: int) -> Iterator[str]:
    """The lines of a text of any length, one after another, of its last `most` bytes; `-` is the standard
    input, of which all is read.

    Bytes that are no UTF-8 are replaced; of a line longer than LONGEST_LINE each part is one. Raises:
    Unreadable, with the first line.
    """
    if str(path) == "-":
        yield from _decoded(sys.stdin.buffer)
        return
    handed = str(path).startswith(_HANDED)
    size = 0 if handed else check(path)
    try:
        with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb") as file:
            if size > most:
                file.seek(size - most)
                file.readline(LONGEST_LINE)
            yield from _decoded(file)
    except OSError as error:
        raise unreadable(error) from None


def _decoded(file: IO[bytes]) -> Iterator[str]:
    first = file.readline(LONGEST_LINE)
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):  # as PowerShell writes what is redirected
        text = first + file.read(LONGEST_LINE)
        yield from text.decode("utf-16", "replace").splitlines()
        return
    for raw in chain((first,), iter(lambda: file.readline(LONGEST_LINE), b"")):
        yield raw.decode("utf-8", "replace").rstrip("\n")


def check(path: Path, most: int | None = None) -> int:
    """The size of a regular file, without opening it. Raises: Unreadable, for anything else, and for a longer
    one."""
    found = looked_at(path)
    if found is None:
        raise Unreadable("there is nothing of that name", "check the path", missing=True)
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "no file")
        raise Unreadable(f"it is {kind}", "name a file")
    if most is not None and found.st_size > most:
        raise _too_long(found.st_size, most)
    return found.st_size


def looked_at(path: Path) -> os.stat_result | None:
    """What a path leads to; None where there is nothing. Raises: Unreadable, for a loop of links and the
    like."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unreadable(error) from None
    except ValueError:
        raise Unreadable("it is no path", "check the path") from None


def is_file(path: Path) -> bool:
    """Whether a path leads to a regular file that may be looked at."""
    try:
        found = looked_at(path)
    except Unreadable:
        return False
    return found is not None and stat.S_ISREG(found.st_mode)


def unreadable(error: OSError) -> Unreadable:
    """What the system says, in words."""
    fixes = {
        "PermissionError": "its permissions, and those of the folders above it",
        "FileNotFoundError": "check the path",
    }
    why = (error.strerror or str(error) or type(error).__name__).lower()
    return Unreadable(why, fixes.get(type(error).__name__, "check the path"))


def _too_long(size: int, most: int) -> Unreadable:
    return Unreadable(
        f"it has {size:,} bytes or more, {most:,} at most are read", "is it the file that was meant?"
    )
