"""Which running process is replaced next, so that a changed plan loses no request: one replica at a time."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from stoker.fleet.process import Process, Wanted
from stoker.system import clock
from stoker.targets.local.child import Child

# seconds for which a successor is ready before the next one is replaced, and what is new is relied on
STEADY = 5.0
Next = tuple[Child | None, Process | None]


def to_replace(
    wanted: Wanted, children: Sequence[Child], rotation: Collection[str] | None = None
) -> list[Next]:
    """Pairs of (a child that leaves now, None) or (None, a process that starts beside its old child).

    Not of the gateway, whose successor takes its sockets over. rotation: the routes that the gateway sends
    to, by its own word; None where none runs.
    """
    stale = [
        (child, process)
        for process in wanted.processes
        for child in children
        if child.process.key == process.key and process.role != "gateway" and _stale(child, process, wanted)
        if not comes_back(child, wanted, children)
    ]
    free = [child for child, process in stale if _nothing_to_lose(child, process, wanted, children, rotation)]
    out: list[Next] = [(child, None) for child in free]
    rest = [(child, process) for child, process in stale if child not in free]
    if rest and not _in_motion(wanted, children):
        out.append(_replica(*rest[0], children))
    return out


def _stale(child: Child, process: Process, wanted: Wanted) -> bool:
    return not child.leaving and child.id is not None and child.stamp != wanted.stamp(process)


def _nothing_to_lose(
    child: Child,
    process: Process,
    wanted: Wanted,
    children: Sequence[Child],
    rotation: Collection[str] | None,
) -> bool:
    """No request is on it (it is no replica, or never was ready), or its successor already takes them."""
    if not process.routed or not child.ever_ready:
        return True
    stamp = wanted.stamp(process)
    return any(
        c.process.key == process.key
        and c.stamp == stamp
        and c.phase == "Ready"
        and (rotation is None or c.route in rotation)
        for c in children
    )


def comes_back(child: Child, wanted: Wanted, children: Sequence[Child]) -> bool:
    """Whether a replica of an older plan that has ended is started again as it was.

    So it is while a replica of the new plan has failed and none was ever ready: where it is not known any
    more what served before, whoever still serves is what there is to hold on to.
    """
    stamps = {wanted.stamp(process) for process in wanted.processes}
    new = [one for one in children if one.process.routed and one.stamp in stamps]
    failed = any(one.phase == "Failed" or one.restarts for one in new)
    return child.process.routed and failed and not any(one.ever_ready for one in new)


def _in_motion(wanted: Wanted, children: Sequence[Child]) -> bool:
    """Whether some replica is starting, leaving or missing just now, so that no other should go."""
    routed = [c for c in children if c.process.routed]
    stamps = {wanted.stamp(process) for process in wanted.processes}
    if any(c.phase == "Failed" and c.stamp in stamps for c in routed):
        return True  # its successor failed: who serves stays
    if any(c.phase == "Ready" and c.stamp in stamps and 0 <= clock.now() - c.since < STEADY for c in routed):
        return True  # it has yet to show that it stays
    if any(c.leaving or c.phase in ("Pending", "Starting", "Loading", "Warming") for c in routed):
        return True
    return not {p.key for p in wanted.processes if p.routed} <= {c.process.key for c in routed}


def _replica(child: Child, process: Process, children: Sequence[Child]) -> Next:
    others = [c for c in children if c.process.routed and c is not child and c.phase == "Ready"]
    if others or not process.surge or child.phase != "Ready":
        return (child, None)
    return (None, process)


@dataclass(frozen=True, slots=True)
class GatewayStep:
    """One is started (standby: to wait for its turn), leaves, or has taken over."""

    what: Literal["start", "leave", "promote"]
    child: Child | None = None
    standby: bool = False


def gateway_steps(
    process: Process, stamp: str, children: Sequence[Child], waiting: Collection[Child]
) -> list[GatewayStep]:
    """What is next for the gateway: beside the one that answers another one waits, of the same settings or
    newer.

    waiting: those that say that they wait for their turn. The first gateway is started as any other process
    is.
    """
    mine = [c for c in children if c.process.key == process.key and c.id is not None and not c.leaving]
    spares = [c for c in mine if c.standby]
    active = [c for c in mine if not c.standby]
    out = [GatewayStep("leave", c) for c in spares if c.stamp != stamp]
    fresh = next((c for c in spares if c.stamp == stamp), None)
    if not active:
        return out + ([GatewayStep("promote", fresh)] if fresh is not None else [])
    if any(c.stamp == stamp for c in active):
        current = next(c for c in active if c.stamp == stamp)
        out += [GatewayStep("leave", c) for c in active if c is not current and current.phase == "Ready"]
        if fresh is None and current.phase == "Ready" and not out:
            out.append(GatewayStep("start", standby=True))
        return out
    return out + _succeed(process, active[-1], fresh, waiting)


def _succeed(
    process: Process, old: Child, fresh: Child | None, waiting: Collection[Child]
) -> list[GatewayStep]:
    """The old one goes once its successor can take over: at another address it starts to answer beside it."""
    same_port = old.port == process.port
    if same_port and old.process.host == process.host:
        if fresh is None:
            return [GatewayStep("start", standby=True)]
        return [GatewayStep("leave", old), GatewayStep("promote", fresh)] if fresh in waiting else []
    return [GatewayStep("leave", old)] if same_port else [GatewayStep("start")]
