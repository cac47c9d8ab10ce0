"""Reading the logs of a fleet's processes: whole, as they grow, or of the life before."""

import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from stoker.errors import UsageError
from stoker.fleet.target import LogLine
from stoker.system.rotation import Reader
from stoker.targets.local.folder import Folder
from stoker.targets.local.log_files import number_of, source_of

FOLLOW_SECONDS = 0.2


def files(folder: Folder, only: str | None = None) -> dict[str, list[Path]]:
    """The logs of each process by source, `1` for a replica, else its role: the oldest life first."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.logs.glob("*.log"), key=number_of):
        if only in (None, source_of(path)):
            found.setdefault(source_of(path), []).append(path)
    return dict(sorted(found.items()))


def read_logs(folder: Folder, only: str | None, previous: bool = False) -> Iterator[LogLine]:
    """All lines of the last life of each process, or of the life before it, one process after another.

    Raises: UsageError, where there is no such process, or no life before.
    """
    there = _found(folder, only)
    chosen = [(source, all_of[-2:]) for source, all_of in there.items()]
    if previous:
        chosen = [(source, two[:1]) for source, two in chosen if len(two) == 2]
    if previous and not chosen:
        raise UsageError(
            f"{f'{only} has' if only else 'no process has'} no earlier life",
            why="it was not started again since its logs are kept",
            fix="`stoker logs` shows the life that there is",
            rule="logs-previous",
        )
    return _read([(source, paths[-1]) for source, paths in chosen])


def _found(folder: Folder, only: str | None) -> dict[str, list[Path]]:
    """Raises: UsageError, where there is no log of the one that is asked for."""
    there = files(folder, only)
    if only is not None and not there:
        raise UsageError(
            f"there is no log of {only!r}",
            why=f"there are: {', '.join(files(folder)) or 'none'}",
            fix="one of these",
            rule="logs-nobody",
        )
    return there


def _read(chosen: list[tuple[str, Path]]) -> Iterator[LogLine]:
    for source, path in chosen:
        reader = Reader(path)
        for text in chain(reader.lines(), reader.rest()):
            yield LogLine(source, text)


def follow_logs(folder: Folder, only: str | None) -> Iterator[LogLine]:
    """The lines that are there, then new ones as they come, of new lives too, until the fleet is down.

    Raises: UsageError, where there is no such process.
    """
    _found(folder, only)
    return _follow(folder, only)


def _follow(folder: Folder, only: str | None) -> Iterator[LogLine]:
    readers: dict[Path, Reader] = {}
    while True:
        gone = not folder.wanted_file.exists()
        for source, paths in files(folder, only).items():
            known = [number for number, path in enumerate(paths) if path in readers]
            for path in paths[min(known, default=-1) :]:
                reader = readers.setdefault(path, Reader(path))
                for text in _news(reader, old=path is not paths[-1], gone=gone):
                    yield LogLine(source, text)
        if gone:
            return
        time.sleep(FOLLOW_SECONDS)


def _news(reader: Reader, *, old: bool, gone: bool) -> Iterator[str]:
    """What is new, with a last line that has no end: of an old life that stands still, of a fleet that is
    gone."""
    count = 0
    for count, text in enumerate(reader.lines(), 1):  # noqa: B007  the last one is the count
        yield text
    if gone or (old and not count):
        yield from reader.rest()
