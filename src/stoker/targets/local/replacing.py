"""Which running process is replaced next, so that a changed plan loses no request: one replica at a time."""

from collections.abc import Callable, Sequence

from stoker.fleet.process import Process, Wanted
from stoker.targets.local.child import Child

Stamp = Callable[[Process], str]
Next = tuple[Child | None, Process | None]


def to_replace(wanted: Wanted, children: Sequence[Child], stamp: Stamp) -> list[Next]:
    """Pairs of (a child that leaves now, None) or (None, a process that starts beside its old child)."""
    stale = [(child, process) for process in wanted.processes if (child := _stale(process, children, stamp))]
    out: list[Next] = [(child, None) for child, process in stale if not process.routed]
    for child, process in stale:
        if process.routed and not _in_motion(wanted, children, stamp):
            out.append(_replica(child, process, children))
            break
        if process.routed and _successor_ready(child, children):
            out.append((child, None))
            break
    return out


def _stale(process: Process, children: Sequence[Child], stamp: Stamp) -> Child | None:
    mine = [c for c in children if c.process.key == process.key and not c.leaving and c.id is not None]
    return next((c for c in mine if c.stamp != stamp(process)), None)


def _in_motion(wanted: Wanted, children: Sequence[Child], stamp: Stamp) -> bool:
    """Whether some replica is starting or leaving just now, so that no other should."""
    keys = {process.key: process for process in wanted.processes if process.routed}
    routed = [c for c in children if c.process.routed]
    if any(c.leaving or c.phase in ("Pending", "Starting", "Loading", "Warming") for c in routed):
        return True
    if any(
        _successor_ready(c, children) for c in routed if c.stamp != stamp(keys.get(c.process.key, c.process))
    ):
        return True
    present = {c.process.key for c in routed}
    return not set(keys) <= present


def _successor_ready(old: Child, children: Sequence[Child]) -> bool:
    twins = [c for c in children if c.process.key == old.process.key and c.generation > old.generation]
    return any(twin.phase == "Ready" for twin in twins)


def _replica(child: Child, process: Process, children: Sequence[Child]) -> Next:
    others = [c for c in children if c.process.routed and c is not child and c.phase == "Ready"]
    if others or not process.surge or child.phase != "Ready":
        return (child, None)
    return (None, process)
