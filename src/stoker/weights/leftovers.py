"""What copies that did not finish have left in the cache: whose it is, whether a copy still runs, and when it
goes.

A copy goes on from what an earlier one of the same source and revision left. Of a source that has changed
meanwhile nobody will ever ask for the rest.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stoker.system import clock
from stoker.system.files import is_locked, try_lock
from stoker.units import Bytes

FOLDER = ".partial"
OLD_SECONDS = 7 * 86400.0
TAG = 12  # letters of a folder's name that tell source and revision


@dataclass(frozen=True, slots=True)
class Leftover:
    """The files of one copy that is not whole. source: as the copy was asked for, or what is known of it.

    size: on the disk, not as long as it will be. at: when it last grew (epoch seconds). lock: what a running
    copy holds.
    """

    tag: str
    source: str
    files: tuple[Path, ...]
    size: Bytes
    at: float
    lock: Path | None

    @property
    def running(self) -> bool:
        """Whether a copy works on it now."""
        return self.lock is not None and is_locked(self.lock)

    @property
    def old(self) -> bool:
        """Whether nobody has gone on with it for long."""
        return clock.now() - self.at > OLD_SECONDS


def lock_of(folder: Path) -> Path:
    """The file that a copy into a model's folder holds while it runs; it names the source."""
    return folder.with_name(f".{folder.name}.lock")


def leftovers(cache: Path) -> tuple[Leftover, ...]:
    """Every copy that is not whole, by source."""
    by_tag: dict[str, list[Path]] = {}
    for path in sorted((cache / FOLDER).glob("*")):
        by_tag.setdefault(_tag(path), []).append(path)
    found = (_leftover(cache, tag, files) for tag, files in by_tag.items())
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.source, one.tag)))


def _tag(path: Path) -> str:
    return path.name.removesuffix(".ranges")[-TAG:]


def _leftover(cache: Path, tag: str, files: list[Path]) -> Leftover | None:
    lock = next(iter(cache.glob(f"*/.*-{tag}.lock")), None)
    try:
        stats = [path.stat() for path in files]
        source = lock.read_text().strip() if lock else ""
    except FileNotFoundError:  # finished meanwhile
        return None
    known = lock.name[1 : -len(f"-{tag}.lock")] if lock else "an unknown source"
    size = Bytes(sum(one.st_blocks * 512 for one in stats))
    data = tuple(path for path in files if path.suffix != ".ranges")
    return Leftover(
        tag, source or known, data or tuple(files), size, max(one.st_mtime for one in stats), lock
    )


def drop(cache: Path, one: Leftover) -> bool:
    """Removes what is left of a copy; False where it runs again."""
    held = try_lock(one.lock) if one.lock else None
    if one.lock is not None and held is None:
        return False
    try:
        for path in (cache / FOLDER).glob("*"):
            if _tag(path) == one.tag:
                path.unlink(missing_ok=True)
    finally:
        if held is not None:
            held.close()
    return True


def tidy(cache: Path, label: str, tag: str) -> None:
    """Before a copy of `label`: what is left of other revisions of it, of anything long ago, and of names
    half given."""
    for one in leftovers(cache):
        if one.tag != tag and (one.source == label or one.old) and not one.running:
            drop(cache, one)
    for folder in _half_named(cache):
        shutil.rmtree(folder, ignore_errors=True)


def _half_named(cache: Path) -> Iterator[Path]:
    """Folders that were to become a model's when their copy was killed: links alone, no data of their own."""
    for folder in cache.glob("*/.new-*"):
        try:
            if clock.now() - folder.stat().st_mtime > OLD_SECONDS:
                yield folder
        except FileNotFoundError:
            continue


def copying(cache: Path) -> bool:
    """Whether any copy runs."""
    return any(is_locked(lock) for lock in cache.glob("*/.*.lock"))
