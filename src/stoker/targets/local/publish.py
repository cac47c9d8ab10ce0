"""What the supervisor writes: the state for verbs and the next supervisor, the routes for the gateway."""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stoker.errors import StateBroken
from stoker.fleet.process import Wanted
from stoker.fleet.state import FleetState, Phase, Rank, Replica, Service, Stopped
from stoker.spec import addresses
from stoker.system import clock
from stoker.system.files import read_json, write_json
from stoker.targets.gateway.config import Route, Routes, Seen
from stoker.targets.local.child import Child
from stoker.targets.local.folder import Folder, Record

AT_LEAST_EVERY = 1.0

log = logging.getLogger("stoker.supervisor")


@dataclass(frozen=True, slots=True)
class Said:
    """What there is to say beside the children: what verbs asked for, and what is led to instead where that
    failed."""

    asked: Wanted | None
    led: Wanted | None
    stopped: Stopped | None = None
    trouble: str = ""
    in_rotation: int = 0
    asked_for: tuple[str, ...] = ()
    requests: int | None = None


class Publisher:
    """Writes only what has changed, and the state at least once a second. What cannot be written is tried
    again."""

    def __init__(self, folder: Folder, record: Record | None = None) -> None:
        self._folder = folder
        self._routes = _routes(folder, record)
        self._last: tuple[object, ...] | None = None
        self._at = self._looked = 0.0
        self._moved: tuple[object, ...] | None = None
        self._targets: list[dict[str, Any]] | None = None
        self._marks: dict[Path, tuple[int, int]] = {}
        self._said = ""

    @property
    def revision(self) -> int:
        """The revision of the routes as written."""
        return self._routes.revision

    def publish(self, said: Said, children: Sequence[Child], force: bool = False) -> None:
        """Routes first, so that nobody reads of a state that the gateway does not follow yet."""
        try:
            self._publish_routes(children, said.led is not None and not said.led.processes)
            self._publish_state(said, children, force)
            self._said = ""
        except (OSError, StateBroken) as error:
            self._complain(str(error).partition("\n")[0])

    def _complain(self, why: str) -> None:
        if why != self._said:
            self._said = why
            log.warning("the state cannot be written: %s; the fleet goes on", why)

    def _publish_state(self, said: Said, children: Sequence[Child], force: bool) -> None:
        state = replace(fleet_state(said, children), trouble=said.trouble, requests=said.requests)
        seen = (
            replace(state, at=0.0),
            said.in_rotation,
            said.asked_for,
            tuple(child.mark() for child in children),
        )
        if force or seen != self._last or time.monotonic() - self._at > AT_LEAST_EVERY:
            record = Record(
                state,
                tuple(child.record() for child in children),
                os.getpid(),
                said.asked,
                said.in_rotation,
                self.revision,
                said.asked_for,
            )
            self._folder.report(record)
            self._last, self._at = seen, time.monotonic()
        self._touch(state)

    def _touch(self, state: FleetState) -> None:
        """After the state is written: who sees the mark reads what it is about."""
        moved = (
            state.wanted,
            tuple((one.name, one.generation, one.phase, one.restarts) for one in state.replicas),
            tuple((one.role, one.phase, one.restarts) for one in state.services),
        )
        if moved != self._moved:
            self._moved = moved
            self._folder.moved_file.touch()

    def _publish_routes(self, children: Sequence[Child], stopping: bool) -> None:
        routes = tuple(
            Route(child.route, child.process.host, child.port, child.leaving, child.cut)
            for child in children
            if child.process.routed and child.ever_ready and child.id is not None
        )
        self._publish_targets(children)
        new = Routes(self._routes.revision, routes, _reason(children), stopping)
        if new != self._routes:
            self._routes = replace(new, revision=new.revision + 1)
            self._write_routes()
        elif time.monotonic() - self._looked > AT_LEAST_EVERY:
            self._looked = time.monotonic()
            if not self._untouched(self._folder.routes_file):
                self._write_routes()  # somebody damaged it, or it could not be written

    def _write_routes(self) -> None:
        file = self._folder.routes_file
        self._marks.pop(file, None)
        self._routes.write(file)
        self._untouched(file, note=True)

    def _untouched(self, file: Path, note: bool = False) -> bool:
        """Whether a file is as it was when it was last written."""
        try:
            found = file.stat()
        except OSError:
            return False
        mark = (found.st_mtime_ns, found.st_size)
        if note:
            self._marks[file] = mark
        return self._marks.get(file) == mark

    def _publish_targets(self, children: Sequence[Child]) -> None:
        """The replicas for a Prometheus, as its file_sd_config reads them; those that start are not up
        yet."""
        targets = [
            {
                "targets": [f"{one.process.host}:{one.port}"],
                "labels": {"fleet": self._folder.path.name, "instance": one.process.name},
            }
            for one in children
            if one.process.routed and one.id is not None and not one.leaving
        ]
        if targets != self._targets:
            write_json(self._folder.targets_file, targets)
            self._targets = targets


def _routes(folder: Folder, record: Record | None) -> Routes:
    """The routes as last written; where they are lost, a number that no gateway has seen yet."""
    try:
        return Routes.read(folder.routes_file)
    except StateBroken:
        seen = (Seen.read(file) for file in folder.path.glob("gateway.seen.*"))
        known = [record.routes if record else 0, *(one.revision for one in seen if one)]
        return Routes(max(known) + 1)


def _reason(children: Sequence[Child]) -> str:
    """Why no replica is ready, where none is."""
    routed = [child for child in children if child.process.routed]
    if any(child.phase == "Ready" for child in routed):
        return ""
    if not routed:
        return "the fleet has no replica"
    said = [
        f"replica {c.process.name} is {c.phase}{f': {c.last_error}' if c.phase == 'Failed' else ''}"
        for c in routed
    ]
    return "; ".join(said)


def fleet_state(said: Said, children: Sequence[Child]) -> FleetState:
    """The children as one value."""
    wanted = said.led
    routed = [child for child in children if child.process.routed]
    stamps = {process.key: wanted.stamp(process) for process in wanted.processes} if wanted else {}
    return FleetState(
        name=wanted.name if wanted else "",
        target="local",
        at=clock.now(),
        revision=said.asked.revision if said.asked else 0,
        endpoint=wanted.endpoint if wanted else None,
        page=wanted.page if wanted else None,
        model=wanted.model if wanted else None,
        wanted=wanted.replicas if wanted else 0,
        replicas=tuple(
            _replica(child, stamps.get(child.process.key) == child.stamp)
            for child in sorted(routed, key=lambda c: (int(c.process.name), c.generation))
        ),
        services=tuple(
            _service(child, stamps.get(child.process.key) == child.stamp) for child in _services(children)
        ),
        stopping=wanted is not None and not wanted.processes,
        command=wanted.command if wanted else "",
        stopped=said.stopped,
    )


def _services(children: Sequence[Child]) -> list[Child]:
    """One of each role: of several gateways the one that answers."""
    others = [child for child in children if not child.process.routed and not child.standby]
    answering = {child.process.role for child in others if not child.leaving}
    return [child for child in others if not child.leaving or child.process.role not in answering]


def _replica(child: Child, current: bool) -> Replica:
    return Replica(
        name=child.process.name,
        phase=child.phase,
        since=child.since,
        url=f"http://{child.process.host}:{child.port}" if child.id else None,
        ranks=_ranks(child),
        restarts=child.restarts,
        detail=child.detail,
        sample=child.sample,
        last_error=child.last_error,
        cause=child.cause,
        log=str(child.log),
        hardware=child.process.hardware,
        generation=child.generation,
        current=current,
        started=child.started,
    )


def _ranks(child: Child) -> tuple[Rank, ...]:
    """One process a rank; of several, what the agent beside them says of each, here and on other hosts."""
    phase: Phase = child.phase
    pid = child.id.pid if child.id else None
    if child.process.ranks == 1:
        return (Rank(0, socket.gethostname(), phase, pid),)
    found: dict[int, dict[str, Any]] = {}
    with contextlib.suppress(StateBroken, LookupError, TypeError, ValueError):
        said = read_json(child.log.parent.parent / f"{child.process.key}.ranks.json") if pid else None
        found = {int(rank["index"]): rank for rank in said or () if rank["host"] and rank["pid"]}
    return tuple(
        Rank(index, found[index]["host"], phase, found[index]["pid"])
        if index in found
        else Rank(index, "", "Pending")
        for index in range(child.process.ranks)
    )


def _service(child: Child, current: bool) -> Service:
    return Service(
        role=child.process.role,
        phase=child.phase,
        since=child.since,
        pid=child.id.pid if child.id else None,
        url=addresses.url(child.process.host, child.port) if child.process.health else None,
        restarts=child.restarts,
        last_error=child.last_error,
        cause=child.cause,
        current=current,
    )
