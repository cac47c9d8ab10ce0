"""Reading the logs of a fleet's processes, whole or as they grow."""

import time
from collections.abc import Iterator
from pathlib import Path

from stoker.fleet.target import LogLine
from stoker.targets.local.folder import Folder

FOLLOW_SECONDS = 0.2


def files(folder: Folder, only: str | None) -> dict[str, Path]:
    """The newest log of each process, by source: `1` for a replica, else its role."""
    found: dict[str, Path] = {}
    for path in sorted(folder.logs.glob("*.log"), key=lambda p: p.stat().st_mtime):
        stem = path.name.split(".")[0]
        source = stem.removeprefix("engine-") if stem.startswith("engine-") else stem
        if only is None or source == only:
            found[source] = path
    return dict(sorted(found.items()))


def read_logs(folder: Folder, only: str | None) -> Iterator[LogLine]:
    """All lines that are there now, one process after another."""
    for source, path in files(folder, only).items():
        with path.open(errors="replace") as file:
            for line in file:
                yield LogLine(source, line.rstrip("\n"))


def follow_logs(folder: Folder, only: str | None) -> Iterator[LogLine]:
    """The lines that are there, then new ones as they come, until the fleet is down."""
    offsets: dict[Path, int] = {}
    while True:
        gone = not folder.wanted_file.exists()
        for source, path in files(folder, only).items():
            with path.open("rb") as file:
                start = offsets.get(path, 0)
                file.seek(start if start <= path.stat().st_size else 0)
                data = file.read()
            whole = data.rfind(b"\n") + 1
            offsets[path] = start + whole
            for line in data[:whole].decode("utf-8", "replace").splitlines():
                yield LogLine(source, line)
        if gone:
            return
        time.sleep(FOLLOW_SECONDS)
