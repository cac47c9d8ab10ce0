"""Target: a place where a fleet runs. The same calls for this machine, a cluster and a simulation."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from stoker.fleet.changes import Changes
from stoker.fleet.state import FleetState
from stoker.planner.plan import Hardware, Plan

Question = Callable[[str], bool]  # put to a person while a verb runs; True for yes


def nobody(_: str) -> bool:
    """A Question where nobody is there to answer: no."""
    return False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to send requests: the base URL without `/v1`, and the key where one is needed."""

    url: str
    model: str
    key: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint(url={self.url!r}, model={self.model!r}, key={'***' if self.key else None})"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of one process's log."""

    source: str
    text: str


class Target(Protocol):
    """What every target does; plain synchronous calls."""

    name: str

    @property
    def interval(self) -> float:
        """Seconds until the next look of a verb that waits."""

    def offer(self) -> Hardware:
        """What could run here."""

    def observe(self) -> FleetState:
        """Reads, changes nothing, bounded in time."""

    def changes(self, plan: Plan | None) -> Changes:
        """The steps towards a plan; None takes the fleet down."""

    def apply(self, changes: Changes) -> None:
        """Starts what can start now, and returns. Raises: StateMoved, where somebody else changed it since
        `changes`."""

    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of all processes, or of one replica; previous: of the life before the last one."""

    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """URL and key; a port-forward where one is needed."""
