"""One file into the cache: ranges in any order, a journal of those that are whole, then the checksum.

Killed at any byte, the next run reads the journal and copies only what it does not list.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from stoker.errors import WeightsFailed
from stoker.weights.remote import Interrupted, Remote, RemoteFile

RANGE = 16 * 1024 * 1024
READ = 4 * 1024 * 1024

Range = tuple[int, int]


class Partial:
    """A file on its way: its data preallocated, and a journal with one line for each whole range."""

    def __init__(self, file: RemoteFile, path: Path) -> None:
        self.file = file
        self.path = path
        self._journal = path.with_name(path.name + ".ranges")
        self._lock = threading.Lock()

    def missing(self) -> list[Range]:
        """The ranges that are not whole yet; all of them at the first time, or after a torn start."""
        size = int(self.file.size)  # Bytes would print with its unit
        ranges = [(at, min(at + RANGE, size)) for at in range(0, size, RANGE)]
        if not self.path.exists() or self.path.stat().st_size != self.file.size:
            self._begin()
            return ranges
        done = self._done()
        return [one for one in ranges if one not in done]

    def _begin(self) -> None:
        self._journal.unlink(missing_ok=True)
        with self.path.open("wb") as data:
            data.truncate(self.file.size)

    def _done(self) -> set[Range]:
        """What the journal lists; a last line without its end was torn and counts for nothing."""
        try:
            text = self._journal.read_text()
        except FileNotFoundError:
            return set()
        done = set()
        for line in text[: text.rfind("\n") + 1].splitlines():
            start, _, end = line.partition("-")
            if start.isdigit() and end.isdigit():
                done.add((int(start), int(end)))
        return done

    def copy(self, remote: Remote, one: Range, told: Callable[[int], None]) -> None:
        """Copies one range; data reach the disk before the journal says so. Raises: Interrupted."""
        start, end = one
        with self.path.open("r+b") as data:
            data.seek(start)
            at = start
            for chunk in remote.read(self.file, start, end):
                chunk = chunk[: end - at]
                data.write(chunk)
                at += len(chunk)
                told(len(chunk))
            if at != end:
                told(start - at)
                raise Interrupted(f"{self.file.path} ended {end - at} bytes early")
            data.flush()
            os.fdatasync(data.fileno()) if hasattr(os, "fdatasync") else os.fsync(data.fileno())
        with self._lock, self._journal.open("a") as journal:
            journal.write(f"{start}-{end}\n")

    def finish(self, blob: Path) -> None:
        """Checks the content and gives the file its final name. Raises: WeightsFailed; a wrong file is
        dropped."""
        wrong = mismatch(self.path, self.file)
        self._journal.unlink(missing_ok=True)
        if wrong:
            self.path.unlink()
            raise WeightsFailed(
                f"{self.file.path} is not what the source promised",
                why=wrong,
                fix="run it again: it is copied anew",
                rule="weights-checksum",
            )
        os.rename(self.path, blob)


def mismatch(path: Path, file: RemoteFile) -> str | None:
    """How a file differs from what the source says of it, or None."""
    size = path.stat().st_size
    if size != file.size:
        return f"{size:,} bytes, expected {file.size:,}"
    for name, expected, digest in (
        ("sha256", file.sha256, hashlib.sha256()),
        ("md5", file.md5, hashlib.md5(usedforsecurity=False)),
        ("git sha1", file.git_sha1, hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)),
    ):
        if expected is not None:
            found = _digest(path, digest)
            return None if found == expected else f"{name} {found}, expected {expected}"
    return None


def _digest(path: Path, digest: "hashlib._Hash") -> str:
    with path.open("rb") as data:
        while chunk := data.read(READ):
            digest.update(chunk)
    return digest.hexdigest()
