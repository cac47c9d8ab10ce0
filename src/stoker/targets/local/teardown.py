"""Ending a fleet without its files: its supervisor is told by a signal; where none lives, its process groups
are."""

import contextlib
import os
import signal
import time
from collections.abc import Callable

from stoker.errors import StateBroken, TimedOut
from stoker.events import Event, Report
from stoker.system.proc import ProcessId, group_members, signal_group
from stoker.targets.local.folder import Folder
from stoker.targets.local.process_marks import of_fleet, supervisors

GRACE = 15.0  # SIGTERM to SIGKILL
KILL_SECONDS = 10.0
DRAIN = 300.0  # where nothing tells how long answers may take


def end(folder: Folder, report: Report, timeout: float | None = None, now: bool = False) -> None:
    """Ends everything that carries the fleet's mark, and forgets it. now: without waiting for requests.

    Raises: TimedOut, where something does not end; it is named.
    """
    if not now:
        _ask(folder, report, timeout if timeout is not None else _drain(folder) + GRACE)
    for one in supervisors(folder.path):
        _signal(one, signal.SIGKILL)
    groups: set[int] = set()
    for number, seconds in ((signal.SIGTERM, GRACE if not now else 1.0), (signal.SIGKILL, KILL_SECONDS)):
        groups |= {one.pid for one in _groups(folder)}
        if _members(groups):
            report(Event("processes", f"{number.name} to {len(_members(groups))} of them", "..."))
            _signal_all(groups, number)
            _until(_Gone(groups), seconds)
    if left := _members(groups):
        pids = ", ".join(map(str, left))
        raise TimedOut("processes of the fleet do not end", why=f"pids {pids}", fix=f"kill -9 {pids}")
    folder.forget()


class _Gone:
    """Whether nothing of some process groups runs any more."""

    def __init__(self, groups: set[int]) -> None:
        self._groups = groups

    def __call__(self) -> bool:
        return not _members(self._groups)


def _signal_all(groups: set[int], number: signal.Signals) -> None:
    """A group's leader may be gone; its number is the group's as long as one of it lives."""
    for group in groups:
        if _members({group}):
            signal_group(group, signal.SIGCONT)
            signal_group(group, number)


def _members(groups: set[int]) -> list[int]:
    return [pid for group in sorted(groups) for pid in group_members(group)]


def _ask(folder: Folder, report: Report, seconds: float) -> None:
    """The supervisor drains and stops as it would for a verb."""
    if not supervisors(folder.path):
        return
    report(Event("supervisor", "told to end the fleet", "..."))
    for one in supervisors(folder.path):
        _signal(one, signal.SIGCONT)
        _signal(one, signal.SIGUSR1)
    _until(lambda: not supervisors(folder.path), seconds)


def _drain(folder: Folder) -> float:
    try:
        wanted = folder.wanted()
    except StateBroken:
        return DRAIN
    return wanted.drain_timeout if wanted else DRAIN


def _groups(folder: Folder) -> list[ProcessId]:
    return [id for id, _ in of_fleet(folder.path)]


def _signal(one: ProcessId, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        if one.alive:
            os.kill(one.pid, number)


def _until(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        time.sleep(0.1)
