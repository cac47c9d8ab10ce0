"""What the cache holds, and removing it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from stoker.errors import Mistake
from stoker.units import Bytes

SOURCE_FILE = ".source"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One model in the cache: where it came from, where it is, its bytes, and when it was made (epoch seconds)."""

    source: str
    path: str
    size: Bytes
    files: int
    at: float


def entries(cache: Path) -> tuple[CacheEntry, ...]:
    """Every whole model of the cache, by source."""
    marks = sorted(cache.glob(f"*/*/{SOURCE_FILE}")) if cache.exists() else []
    return tuple(sorted((_entry(mark) for mark in marks), key=lambda entry: entry.source))


def _entry(mark: Path) -> CacheEntry:
    files = [p for p in mark.parent.rglob("*") if p.is_file() and p.name != SOURCE_FILE]
    size = Bytes(sum(p.stat().st_size for p in files))
    return CacheEntry(mark.read_text().strip(), str(mark.parent), size, len(files), mark.stat().st_mtime)


def remove(cache: Path, source: str) -> CacheEntry:
    """Removes one model by its source. Raises: Mistake."""
    found = [entry for entry in entries(cache) if entry.source == source]
    if not found:
        known = ", ".join(entry.source for entry in entries(cache))
        raise Mistake(
            f"{source} is not in the cache",
            why=f"there: {known}" if known else "it is empty",
            fix="stoker models list",
        )
    for entry in found:
        shutil.rmtree(entry.path)
    for blob in (cache / "blobs").glob("*"):
        if blob.stat().st_nlink == 1:  # no model's folder has it any more
            blob.unlink()
    return found[0]
