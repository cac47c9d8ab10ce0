"""Looking at a fleet of this machine: the supervisor's report, held against what can be seen without it."""

import shutil
from dataclasses import replace

from stoker.errors import EngineFailed, StateBroken
from stoker.findings import Finding
from stoker.fleet.process import Wanted
from stoker.fleet.state import FleetState, Rank, Replica, Service
from stoker.system import clock
from stoker.system.proc import started_at
from stoker.targets.local.autoscaling import with_scaling
from stoker.targets.local.folder import Folder
from stoker.targets.local.housekeeping import ROOM
from stoker.targets.local.process_marks import of_fleet
from stoker.targets.local.restarts import read, read_again

STALE_SECONDS = 10.0  # a supervisor that lives reports every second


def look(folder: Folder, name: str) -> FleetState:
    """The fleet as it is. Raises: StateBroken, where nothing tells of it and nothing runs."""
    supervised = folder.supervised
    try:
        state = folder.state()
        if state is None and not supervised:
            state = _seen(folder, name, "its folder tells nothing of it")
    except StateBroken as error:
        state = _seen(folder, name, f"{error.finding.what}: {error.finding.why}")
        if state is None:
            raise
    if state is None:
        return FleetState(name, "local", clock.now(), supervised=supervised)
    state = _with_causes(state)
    trouble = state.trouble or _full(folder)
    if supervised and state.replicas and clock.now() - state.at > STALE_SECONDS:
        trouble = trouble or _silent(folder, clock.now() - state.at)
    state = with_scaling(state, folder)
    if not supervised or trouble:
        state = replace(state, replicas=tuple(_unwatched(replica) for replica in state.replicas))
    return replace(state, supervised=supervised, name=name, at=clock.now(), trouble=trouble)


def _full(folder: Folder) -> str:
    """Whether the disk has no room for what is to be kept."""
    try:
        free = shutil.disk_usage(folder.path).free
    except OSError:
        return ""
    return f"the disk of {folder.path} is full" if free < ROOM else ""


def _silent(folder: Folder, seconds: float) -> str:
    """Why a supervisor that lives does not report."""
    try:
        free = shutil.disk_usage(folder.path).free
    except OSError as error:
        return f"the fleet's folder {folder.path} cannot be read: {error.strerror or error}"
    if free < ROOM:
        return f"the disk of {folder.path} is full: the supervisor has not reported for {seconds:.0f} s"
    return f"the supervisor has not reported for {seconds:.0f} s: can it write to {folder.path}?"


def _seen(folder: Folder, name: str, trouble: str) -> FleetState | None:
    """What the processes tell of themselves, where no file does; None where none runs."""
    found = [(id, mark) for id, mark in of_fleet(folder.path) if mark is not None]
    if not found:
        return None
    replicas = tuple(
        Replica(
            mark.key.partition("-")[2],
            "Starting",
            clock.now(),
            f"http://127.0.0.1:{mark.port}",
            (Rank(0, "", "Starting", id.pid),),
            detail="it runs; nothing tells how far it is",
            generation=mark.generation,
        )
        for id, mark in found
        if mark.role == "engine"
    )
    services = tuple(
        Service(mark.role, "Starting", clock.now(), id.pid) for id, mark in found if mark.role != "engine"
    )
    return FleetState(
        name,
        "local",
        clock.now(),
        wanted=len(replicas),
        replicas=replicas,
        services=services,
        trouble=trouble,
    )


def _unwatched(replica: Replica) -> Replica:
    """A replica as its process is, where no supervisor looks."""
    if replica.ranks and replica.ranks[0].pid is not None and started_at(replica.ranks[0].pid) is None:
        cause = read(replica.log or "")
        words = cause.what if cause else None
        detail = "it ended while no supervisor watched"
        return replace(replica, phase="Failed", detail=detail, last_error=words, cause=cause)
    return replica


def _with_causes(state: FleetState) -> FleetState:
    """The state with causes, where the supervisor of an older Stoker has kept words alone."""
    replicas = tuple(
        replace(one, cause=read_again(one.last_error, one.log or "", "engine"))
        if one.last_error and one.cause is None and one.phase != "Ready"
        else one
        for one in state.replicas
    )
    stopped = state.stopped
    if stopped is not None and stopped.cause is None:
        role = "engine" if stopped.subject.startswith("replica") else stopped.subject
        cause = read_again(stopped.last_error, stopped.log or "", role)
        stopped = replace(stopped, cause=cause)
    return replace(state, replicas=replicas, stopped=stopped)


def raise_if_failed(state: FleetState, now: Wanted | None, folder: Folder) -> None:
    """Raises: EngineFailed, where a replica or the gateway was given up, or the change itself was stopped."""
    stopped = state.stopped
    if stopped is not None and now is not None and stopped.revision == now.revision:
        cause = stopped.cause or Finding("")
        raise EngineFailed(
            f"the change was stopped: {stopped.subject} failed: {stopped.last_error}",
            why="\n".join(filter(None, [cause.why, f"revision {stopped.serving} serves on as before"])),
            fix="\n".join(
                filter(None, [cause.fix, "then the same command again; `stoker rollback` drops the change"])
            ),
            at=stopped.log or "",
            rule=cause.rule,
        )
    for replica in state.replicas:
        if replica.phase == "Failed":
            cause = replica.cause or Finding("")
            raise EngineFailed(
                f"replica {replica.name} failed: {replica.last_error or 'it ended'}",
                why=cause.why,
                fix=cause.fix,
                at=replica.log or "",
                rule=cause.rule,
            )
    for service in state.services:
        if service.phase == "Failed" and service.role == "gateway":
            cause = service.cause or Finding("")
            raise EngineFailed(
                f"the gateway failed: {service.last_error}",
                why=cause.why,
                fix=cause.fix,
                at=str(folder.logs),
                rule=cause.rule,
            )
