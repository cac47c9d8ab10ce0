"""A fleet that did not come up: taken down, and its last state kept, so that its cause can still be asked
for."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from stoker.advise.why import why
from stoker.errors import NoSuchFleet, StateBroken, StokerError
from stoker.events import Report
from stoker.findings import Finding
from stoker.fleet.state import FleetState
from stoker.operate.local_fleet import LocalFleet
from stoker.system import clock
from stoker.targets.local import last_try
from stoker.targets.local.last_try import Try

T = TypeVar("T")


def give_up(fleet: LocalFleet, error: StokerError, report: Report) -> None:
    """Takes a fleet down at once. Of one of which something had started, the last state is kept."""
    state: FleetState | None = None
    with suppress(StateBroken):
        state = fleet.target.observe()
    fleet.down(report, now=True)
    if state is not None and (state.replicas or state.services):
        last_try.keep(fleet.target.folder, Try(clock.now(), error.finding, state))


def or_last(look: Callable[[], T], name: str | None) -> tuple[T | None, Try | None]:
    """What a look at a fleet gives; where none runs, its last try, or the newest. Raises: NoSuchFleet."""
    try:
        return look(), None
    except NoSuchFleet:
        if (found := last_try.newest(name)) is None:
            raise
        return None, found


def causes(one: Try) -> tuple[Finding, ...]:
    """Why a try failed: what `why` would have said then, or the error that ended it."""
    found = why(one.fleet, one.fleet.at)
    known = any(finding.rule == one.finding.rule for finding in found)
    return found if known else (one.finding, *(finding for finding in found if finding.severity == "error"))


def forget(name: str | None) -> None:
    """Forgets the last try of a name; without one, all of them."""
    for folder in last_try.folders():
        if name in (None, folder.path.name):
            last_try.drop(folder)
