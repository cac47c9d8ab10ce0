"""What the supervisor writes: the state for verbs and the next supervisor, the routes for the gateway."""

import os
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stoker.fleet.process import Wanted
from stoker.fleet.state import FleetState, Phase, Rank, Replica, Service, to_json
from stoker.spec import addresses
from stoker.system import clock
from stoker.system.files import read_json, write_json
from stoker.targets.gateway.config import Route, Routes
from stoker.targets.local.child import Child
from stoker.targets.local.folder import Folder

AT_LEAST_EVERY = 1.0


class Publisher:
    """Writes only what has changed, and the state at least once a second."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._routes = Routes.read(folder.routes_file)
        self._last: tuple[object, ...] | None = None
        self._at = 0.0
        self._moved: tuple[object, ...] | None = None
        self._targets: list[dict[str, Any]] | None = None

    @property
    def revision(self) -> int:
        """The revision of the routes as written."""
        return self._routes.revision

    def publish(self, wanted: Wanted | None, children: Sequence[Child], force: bool = False) -> None:
        """Routes first, so that nobody reads of a state that the gateway does not follow yet."""
        self._publish_routes(children, wanted is not None and not wanted.processes)
        state = fleet_state(wanted, children)
        seen = (replace(state, at=0.0), tuple(child.mark() for child in children))
        if force or seen != self._last or time.monotonic() - self._at > AT_LEAST_EVERY:
            self._last, self._at = seen, time.monotonic()
            records = [child.record() for child in children]
            write_json(
                self._folder.state_file,
                {"fleet": to_json(state), "children": records, "supervisor": os.getpid()},
            )
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
            Route(child.route, child.process.host, child.port, child.leaving)
            for child in children
            if child.process.routed and child.ever_ready and child.id is not None
        )
        reason = _reason(children)
        self._publish_targets(children)
        new = Routes(self._routes.revision, routes, reason, stopping)
        if new != self._routes:
            self._routes = replace(new, revision=new.revision + 1)
            self._routes.write(self._folder.routes_file)

    def _publish_targets(self, children: Sequence[Child]) -> None:
        """The replicas for a Prometheus, as its file_sd_config reads them; those that start are not up yet."""
        targets = [
            {
                "targets": [f"{one.process.host}:{one.port}"],
                "labels": {"fleet": self._folder.path.name, "instance": one.process.name},
            }
            for one in children
            if one.process.routed and one.id is not None and not one.leaving
        ]
        if targets != self._targets:
            self._targets = targets
            write_json(self._folder.targets_file, targets)


def _reason(children: Sequence[Child]) -> str:
    """Why no replica is ready, where none is."""
    routed = [child for child in children if child.process.routed]
    if any(child.phase == "Ready" for child in routed):
        return ""
    if not routed:
        return "the fleet has no replica"
    said = [
        f"replica {c.process.name} is {c.phase}{f': {c.last_words}' if c.phase == 'Failed' else ''}"
        for c in routed
    ]
    return "; ".join(said)


def fleet_state(wanted: Wanted | None, children: Sequence[Child]) -> FleetState:
    """The children as one value."""
    routed = [child for child in children if child.process.routed]
    stamps = {process.key: wanted.stamp(process) for process in wanted.processes} if wanted else {}
    return FleetState(
        name=wanted.name if wanted else "",
        target="local",
        at=clock.now(),
        revision=wanted.revision if wanted else 0,
        endpoint=wanted.endpoint if wanted else None,
        page=wanted.page if wanted else None,
        model=wanted.model if wanted else None,
        wanted=wanted.replicas if wanted else 0,
        replicas=tuple(
            _replica(child, stamps.get(child.process.key) == child.stamp)
            for child in sorted(routed, key=lambda c: (int(c.process.name), c.generation))
        ),
        services=tuple(
            _service(child, stamps.get(child.process.key) == child.stamp)
            for child in children
            if not child.process.routed
        ),
        stopping=wanted is not None and not wanted.processes,
        command=wanted.command if wanted else "",
    )


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
        last_words=child.last_words,
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
    said = read_json(child.log.parent.parent / f"{child.process.key}.ranks.json") if pid else None
    found = {int(rank["index"]): rank for rank in said or ()}
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
        url=addresses.url(child.process.host, child.port),
        restarts=child.restarts,
        last_words=child.last_words,
        current=current,
    )
