"""Fleet: a handle on one fleet, here or in a cluster, and what one does with it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from stoker.errors import UsageError
from stoker.events import Report, silent
from stoker.fleet.state import FleetState
from stoker.fleet.target import Endpoint, LogLine, Question, nobody
from stoker.spec.nouns import ServeSpec


@dataclass(frozen=True, slots=True)
class Conflicts:
    """What a verb may do about what others hold of a fleet in a cluster.

    force: fields are taken out of other managers' hands. take_over: another command that is changing the
    fleet is ended, without a question. ask: answers a question that is met on the way.
    """

    force: bool = False
    take_over: bool = False
    ask: Question = nobody


class Fleet(ABC):
    """One fleet, wherever it runs.

    As a context manager the fleet that `stoker.up` has brought up is taken down at the end of the block; one
    that `stoker.connect` has found goes on.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.conflicts = Conflicts()
        self.brought_up = False  # by this handle

    def __repr__(self) -> str:
        return f"Fleet({self.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.brought_up:
                self.down()
        finally:
            self.close()

    @property
    @abstractmethod
    def spec(self) -> ServeSpec:
        """The spec of what runs. Raises: NoSuchFleet, UsageError, where nobody kept it."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The endpoint's base URL, without `/v1`; in a cluster the one inside of it."""

    @property
    @abstractmethod
    def history(self) -> Path:
        """The file in which its figures are kept on this machine, once a console has watched it."""

    @property
    @abstractmethod
    def place(self) -> list[str]:
        """The words by which a command line names it: `--fleet NAME` and, in a cluster, where."""

    @abstractmethod
    def status(self) -> FleetState:
        """What runs now, with each replica's own figures. Raises: NoSuchFleet."""

    @abstractmethod
    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """URL, model and key; through a port-forward while it is needed, for a cluster's."""

    @abstractmethod
    def scale(
        self, replicas: int, *, rebind: bool = True, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Runs so many replicas and returns when they are ready.

        rebind: on this machine, whether running replicas' cores are shared anew.
        Raises: NoSuchFleet, DoesNotFit, TimedOut; UsageError, where an HPA moves them.
        """

    @abstractmethod
    def restart(self, report: Report = silent, timeout: float | None = None) -> FleetState:
        """Replaces every replica, one after another, without losing a request."""

    @abstractmethod
    def rollback(
        self, revision: int | None = None, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Goes back to the newest other spec that was ready, or to a revision; the number of replicas stays.

        Raises: NoSuchFleet; UsageError, where nothing like it was ready.
        """

    @abstractmethod
    def down(
        self,
        report: Report = silent,
        timeout: float | None = None,
        *,
        now: bool = False,
        weights: bool = False,
    ) -> None:
        """Drains and stops everything.

        now: on this machine, cuts what still runs. weights: in a cluster, deletes the claims and snapshots
        that hold them, too. Raises: UsageError, for the other place's flag.
        """

    @abstractmethod
    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of its processes' logs; previous: of the life before the last one."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of connections; the fleet goes on."""


def check_count(replicas: int) -> None:
    """Raises: UsageError, for less than none."""
    if replicas < 0:
        raise UsageError(f"{replicas} replicas cannot be had", why="the count is negative", fix="0 or more")
