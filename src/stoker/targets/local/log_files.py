"""The log files of a fleet's processes: one a life, the last few lives kept, each bounded in size while it is
written."""

import logging
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO

from stoker.system import rotation

LIVES = 3
LOOK_SECONDS = 2.0

log = logging.getLogger("stoker.supervisor")


def source_of(path: Path) -> str:
    """Whose log a file is: `1` for a replica, else a role."""
    return path.name.split(".")[0].removeprefix("engine-")


def number_of(path: Path) -> int:
    """Which life of its process a file is of; 0 where there is only one."""
    number = path.name.split(".")[1]
    return int(number) if number.isdigit() else 0


def lives(logs: Path, key: str = "*") -> list[Path]:
    """The logs that are there of a process (of all of them), the oldest life first."""
    return sorted(logs.glob(f"{key}.*.log"), key=number_of)


def new_life(logs: Path, key: str) -> Path:
    """The name of the log for a process that starts now."""
    there = lives(logs, key)
    return logs / f"{key}.{number_of(there[-1]) + 1 if there else 1}.log"


def written_by(pid: int, logs: Path, key: str) -> Path:
    """The log that a running process writes, of which no record tells: as the system says, else its last
    life's."""
    try:
        path = Path(os.readlink(f"/proc/{pid}/fd/1"))
    except OSError:
        path = Path()
    there = lives(logs, key)
    return path if path.parent == logs else there[-1] if there else logs / f"{key}.0.log"


def opened(path: Path) -> IO[bytes]:
    """A log to write to. Where none can be made, what the process says goes nowhere: it runs all the same."""
    try:
        return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb")
    except OSError as error:
        log.warning("%s cannot be written: %s", path.name, error.strerror)
        return open(os.devnull, "wb")


class Keeper:
    """Keeps a folder of logs small. A disk that is full is told once, and tried again."""

    def __init__(self, logs: Path, in_use: Callable[[], Collection[Path]]) -> None:
        self._logs, self._in_use = logs, in_use
        self._told: set[str] = set()

    async def run(self) -> None:
        """For ever."""
        import asyncio  # commands read logs by this module, and have no loop

        while True:
            await asyncio.to_thread(self.look, self._in_use())
            await asyncio.sleep(LOOK_SECONDS)

    def look(self, in_use: Collection[Path]) -> None:
        """Rotates what has grown too large, and removes lives that are long over."""
        for path in self._logs.glob("*.log"):
            self._try(path, rotation.rotate)
        keys = {path.name.split(".")[0] for path in lives(self._logs)}
        for path in (old for key in keys for old in lives(self._logs, key)[:-LIVES]):
            if path not in in_use:
                self._try(path, rotation.remove)

    def _try(self, path: Path, work: Callable[[Path], object]) -> None:
        try:
            work(path)
        except (FileNotFoundError, BlockingIOError):
            return
        except OSError as error:
            if path.name not in self._told:
                self._told.add(path.name)
                log.warning("%s cannot be kept small: %s", path.name, error.strerror or error)
        else:
            self._told.discard(path.name)
