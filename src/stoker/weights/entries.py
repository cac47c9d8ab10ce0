"""What the cache holds, whole models and copies that are not whole, and removing it."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stoker.errors import UsageError
from stoker.units import Bytes
from stoker.weights.leftovers import FOLDER, Leftover, copying, drop, leftovers

SOURCE_FILE = ".source"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One model in the cache: where it came from, where it is, its bytes, and when it was made (epoch
    seconds).

    state: `whole`; `partial`, which a copy left that did not finish; `copying`, while one runs.
    """

    source: str
    path: str
    size: Bytes
    files: int
    at: float
    state: Literal["whole", "partial", "copying"] = "whole"


def entries(cache: Path) -> tuple[CacheEntry, ...]:
    """Every model of the cache, by source, and what copies have left."""
    marks = sorted(cache.glob(f"*/*/{SOURCE_FILE}")) if cache.exists() else []
    found = [*(_entry(mark) for mark in marks), *(_half(cache, one) for one in leftovers(cache))]
    return tuple(sorted(found, key=lambda entry: entry.source))


def _entry(mark: Path) -> CacheEntry:
    files = [p for p in mark.parent.rglob("*") if p.is_file() and p.name != SOURCE_FILE]
    size = Bytes(sum(p.stat().st_size for p in files))
    return CacheEntry(mark.read_text().strip(), str(mark.parent), size, len(files), mark.stat().st_mtime)


def _half(cache: Path, one: Leftover) -> CacheEntry:
    state: Literal["copying", "partial"] = "copying" if one.running else "partial"
    return CacheEntry(one.source, str(cache / FOLDER), one.size, len(one.files), one.at, state)


def remove(cache: Path, source: str) -> tuple[CacheEntry, ...]:
    """Removes one model by its source, and what copies of it have left. Raises: UsageError."""
    found = [entry for entry in entries(cache) if entry.source == source]
    if not found:
        known = ", ".join(dict.fromkeys(entry.source for entry in entries(cache)))
        raise UsageError(
            f"{source} is not in the cache",
            why=f"there: {known}" if known else "it is empty",
            fix="stoker models list",
        )
    if all(entry.state == "copying" for entry in found):
        raise UsageError(
            f"{source} is being copied",
            why="a copy of it runs now",
            fix="end that command first",
            rule="weights-copying",
        )
    gone = remove_partial(cache, source)
    for entry in found:
        if entry.state == "whole":
            shutil.rmtree(entry.path)
    _drop_blobs(cache)
    return (*(entry for entry in found if entry.state == "whole"), *gone)


def remove_partial(cache: Path, source: str | None = None) -> tuple[CacheEntry, ...]:
    """Removes what copies have left, of one source or of all; what a copy works on stays."""
    found = [one for one in leftovers(cache) if source in (None, one.source)]
    return tuple(_half(cache, one) for one in found if drop(cache, one))


def _drop_blobs(cache: Path) -> None:
    """Removes what no model's folder has any more, unless a copy runs that has not named its folder yet."""
    if copying(cache):
        return
    for blob in (cache / "blobs").glob("*"):
        if blob.stat().st_nlink == 1:
            blob.unlink()
