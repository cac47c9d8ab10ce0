"""Marks: what each process of a fleet carries in its environment, so that it is known by itself when no file
tells."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from stoker.fleet.process import BESIDE, Process
from stoker.system.proc import ProcessId, identify

FLEET = "STOKER_FLEET"  # the fleet's folder: also in what its processes start themselves
KEY, GENERATION, STAMP, PORT = "STOKER_PROCESS", "STOKER_GENERATION", "STOKER_STAMP", "STOKER_PORT"


@dataclass(frozen=True, slots=True)
class Mark:
    """Which process of which fleet it is: its key, how often one was started before it, and what it was
    started for."""

    folder: Path
    key: str
    generation: int
    stamp: str
    port: int

    def environment(self) -> dict[str, str]:
        """The mark as a process carries it."""
        return {
            FLEET: str(self.folder),
            KEY: self.key,
            GENERATION: str(self.generation),
            STAMP: self.stamp,
            PORT: str(self.port),
        }

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Mark | None":
        """The mark of a process that a supervisor started; None where it has none, or not all of it."""
        with contextlib.suppress(KeyError, ValueError):
            return cls(
                Path(environment[FLEET]),
                environment[KEY],
                int(environment[GENERATION]),
                environment[STAMP],
                int(environment[PORT]),
            )
        return None

    @property
    def role(self) -> str:
        """engine, gateway, page or autoscaler."""
        return self.key.partition("-")[0]

    def process(self) -> Process | None:
        """As much of what was wanted as the mark tells, for one that nobody wants any more."""
        role, _, name = self.key.partition("-")
        if role == "engine" and name.isdigit():
            return Process("engine", name, (), routed=True)
        if role == "gateway":
            return Process("gateway", "gateway", ())
        return next((Process(one, one, ()) for one in BESIDE if one == role), None)


def leaders() -> Iterator[tuple[ProcessId, dict[str, str]]]:
    """This user's process groups that belong to a fleet: their leader, and its environment."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            pid = process.pid
            if pid == os.getpid() or os.getpgid(pid) != pid or process.uids().real != os.getuid():
                continue
            environment = process.environ()
            if FLEET in environment and (known := identify(pid)) is not None:
                yield known, environment


def of_fleet(folder: Path) -> list[tuple[ProcessId, Mark | None]]:
    """The process groups of one fleet, with what their marks tell."""
    return [(id, Mark.read(env)) for id, env in leaders() if env[FLEET] == str(folder)]


def supervisors(folder: Path) -> list[ProcessId]:
    """Processes that keep the fleet of that folder, by their command line: there should be one at most."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            argv = process.cmdline()
            if argv[1:] == ["-m", "stoker.targets.local.supervisor", str(folder)]:
                found.append(identify(process.pid))
    return [one for one in found if one is not None]
