"""Log files that stay small while their writer goes on: their head moves to numbered parts, `NAME.log.1`,
`NAME.log.2`, …

A writer holds its file open, so the file can only be copied and cut. Linux cuts whole blocks off the head of
a file (ext4, xfs), and then no line is lost; elsewhere what is written in the moment of the cut is. The
writer has to append (O_APPEND). Readers and the one who cuts keep out of each other's way by a lock on the
file itself.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from stoker.system.files import parts

MEBIBYTE = 1024 * 1024
PART_BYTES = 16 * MEBIBYTE
PARTS = 1  # beside the file itself
COLLAPSE_RANGE = 0x08  # of Linux' fallocate
LONGEST_LINE = MEBIBYTE


def rotate(path: Path, size: int = PART_BYTES, keep: int = PARTS) -> bool:
    """Moves the head of a file that has outgrown `size` bytes to a part; at most `keep` parts stay. False:
    nothing to do.

    Where the disk has no room for a part, the head is given up once the file has twice the size.
    Raises: OSError, where the disk is full before that, or somebody reads the file just now.
    """
    if (found := path.stat().st_size) <= size:
        return False
    with path.open("r+b") as log:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        there = parts(path)
        for _, old in there[: len(there) + 1 - keep]:  # first, so that there is room
            old.unlink(missing_ok=True)
        number = there[-1][0] + 1 if there else 1
        try:
            _move(log.fileno(), path.with_name(f"{path.name}.{number}"))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or found <= 2 * size:
                raise
            if not _collapse(log.fileno(), _blocks(log.fileno())):
                os.ftruncate(log.fileno(), 0)
    return True


def _move(log: int, part: Path) -> None:
    """The head of a file to a part, then off the file."""
    new = part.with_name(f".{part.name}")
    try:
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0) as copy:
            blocks = _blocks(log)
            _copy(log, copy.fileno(), 0, blocks)
            os.replace(new, part)
            if not _collapse(log, blocks):
                end = blocks
                while more := _copy(log, copy.fileno(), end, MEBIBYTE):
                    end += more
                os.ftruncate(log, 0)
    finally:
        new.unlink(missing_ok=True)


def _blocks(file: int) -> int:
    """The bytes of a file's whole blocks, without its end."""
    block = os.fstatvfs(file).f_bsize
    return (os.fstat(file).st_size - 1) // block * block


def _copy(source: int, target: int, start: int, size: int) -> int:
    """Copies so many bytes, or as many as there are; returns how many."""
    done = 0
    while done < size and (data := os.pread(source, min(MEBIBYTE, size - done), start + done)):
        view = memoryview(data)
        while view:
            view = view[os.write(target, view) :]
        done += len(data)
    return done


def _collapse(file: int, size: int) -> bool:
    """Takes so many bytes off the head of a file, whatever is appended meanwhile; False where the system
    cannot."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_long) != 8 or not size:
        return False
    fallocate = getattr(ctypes.CDLL(None, use_errno=True), "fallocate", None)
    if fallocate is None:
        return False
    fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long)
    return bool(fallocate(file, COLLAPSE_RANGE, 0, size) == 0)


def remove(path: Path) -> None:
    """Removes a log with its parts."""
    for one in (path, *(part for _, part in parts(path))):
        one.unlink(missing_ok=True)


class Reader:
    """Reads a log from its oldest part on: each byte once and in order, however often it is rotated
    meanwhile.

    What was rotated away before it was read is gone; reading goes on with the oldest that is left.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: int | None = None  # the newest part that is read to its end
        self._offset = 0  # in what follows that part
        self._rest = b""

    def read(self, limit: int = MEBIBYTE) -> bytes:
        """The next bytes, up to a limit; none where there are no more now."""
        try:
            with self.path.open("rb") as log:
                fcntl.flock(log, fcntl.LOCK_SH)
                return self._of_parts(limit) or self._of(log.fileno(), limit)
        except FileNotFoundError:
            return b""

    def _of_parts(self, limit: int) -> bytes:
        for number, part in parts(self.path):
            if self._seen is not None and number <= self._seen:
                continue
            if self._seen is not None and number > self._seen + 1:
                self._offset = 0  # the part that it stood in is gone
            self._seen = number - 1
            with contextlib.suppress(FileNotFoundError), part.open("rb") as file:
                if data := self._of(file.fileno(), limit):
                    return data
                self._offset = max(0, self._offset - os.fstat(file.fileno()).st_size)
            self._seen = number
        self._seen = self._seen or 0
        return b""

    def _of(self, file: int, limit: int) -> bytes:
        data = os.pread(file, limit, self._offset)
        self._offset += len(data)
        return data

    def lines(self, limit: int | None = None) -> Iterator[str]:
        """The whole lines that are there and were not read yet, of about so many bytes. A line ends with
        `\\n` or `\\r`."""
        done = 0
        while (limit is None or done < limit) and (data := self.read()):
            done += len(data)
            text = self._rest + data
            whole = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
            whole = whole or (len(text) if len(text) > LONGEST_LINE else 0)
            self._rest = text[whole:]
            yield from text[:whole].decode("utf-8", "replace").splitlines()

    def rest(self) -> Iterator[str]:
        """What stands behind the last whole line: of a log that does not grow any more."""
        text, self._rest = self._rest.decode("utf-8", "replace"), b""
        yield from text.splitlines()
