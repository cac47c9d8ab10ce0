"""The gateway's own death: the supervisor holds its sockets, and a second one stands by to take them over.

A socket that the supervisor listens on outlives every gateway: whoever connects in between waits in its queue
instead of being refused. Beside the gateway that answers another one waits, loaded and ready, for a file lock
that the first
holds: when that one ends, in whatever way, the other accepts within milliseconds. A gateway that is replaced
lets go of the lock, accepts nothing more, and finishes its answers beside its successor.
"""

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Sequence
from typing import Any

from stoker.spec.addresses import split
from stoker.system.proc import port_free
from stoker.targets.gateway.config import Seen
from stoker.targets.gateway.handing import ask, seen_file
from stoker.targets.local.child import Child
from stoker.targets.local.folder import Folder

BACKLOG = 4096
Address = tuple[str, int]

log = logging.getLogger("stoker.supervisor")


class Listeners:
    """The sockets that the supervisor holds for its gateways, by host and port as the plan names them."""

    def __init__(self) -> None:
        self._held: dict[Address, list[socket.socket]] = {}

    def take(self, host: str, port: int) -> list[int]:
        """The numbers of the open sockets of an address, bound where they are not yet. Raises: OSError."""
        if (host, port) not in self._held:
            self._held[host, port] = listen(host, port)
        return [one.fileno() for one in self._held[host, port]]

    def keep(self, wanted: Sequence[Address]) -> None:
        """Closes those of other addresses."""
        for address in [one for one in self._held if one not in wanted]:
            for held in self._held.pop(address):
                held.close()

    def adopt(self, folder: Folder, child: Child) -> None:
        """Takes the sockets over from a gateway that another supervisor started, which hands them out."""
        address = child.process.host, child.port
        if address in self._held or child.id is None or not child.port:
            return
        if sockets := ask(folder.path, child.generation):
            log.warning("%s handed %d sockets back", child.process.key, len(sockets))
            self._held[address] = sockets


def listen(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for every address that a host name, or several with commas, stand for. Raises:
    OSError."""
    found = [
        one
        for name in split(host)
        for one in socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    ]
    out: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((one[0], one[4]) for one in found):
            out.append(_listening(family, address))
    except OSError:
        for one in out:
            one.close()
        raise
    return out


def _listening(family: int, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError:
        made.close()
        raise
    made.setblocking(False)
    return made


def gateways(children: Sequence[Child]) -> list[Child]:
    """The gateways that run, the one that answers first, then those that finish, then the one that stands
    by."""
    mine = [one for one in children if one.process.role == "gateway" and one.id is not None]
    return sorted(mine, key=lambda one: (one.standby, one.leaving, -one.generation))


def answering(children: Sequence[Child]) -> Child | None:
    """The gateway that takes new requests."""
    return next((one for one in gateways(children) if not one.standby and not one.leaving), None)


def report(folder: Folder, child: Child) -> Seen | None:
    """What one gateway says."""
    return Seen.read(seen_file(folder.path, child.generation))


def seen(folder: Folder, children: Sequence[Child]) -> Seen | None:
    """What all gateways say that have requests, as one: what one still finishes counts too. None where none
    has spoken."""
    said = [
        (child, report(folder, child))
        for child in gateways(children)
        if not child.standby and child.phase != "Failed"
    ]
    found = [one for _, one in said if one is not None]
    if not found or said[0][1] is None:
        return None
    in_flight: dict[str, int] = {}
    for one in found:
        for route, count in one.in_flight.items():
            in_flight[route] = in_flight.get(route, 0) + count
    first = found[0]
    asked = tuple(sorted({name for one in found for name in one.asked}))
    return Seen(
        min(one.revision for one in found),
        in_flight,
        first.ready,
        first.silent,
        asked,
        first.waiting,
        sum(one.requests for one in found),
    )


def forget(folder: Folder, child: Child) -> None:
    """Removes what a gateway that has ended left in the folder."""
    for path in (seen_file(folder.path, child.generation), folder.path / f"gateway.{child.generation}.sock"):
        with contextlib.suppress(OSError):
            os.unlink(path)


def waits(folder: Folder, child: Child) -> bool:
    """Whether a gateway says that it stands by."""
    said = report(folder, child)
    return said is not None and said.waiting


def answers(folder: Folder, child: Child) -> bool:
    """Whether a gateway says that it is its turn."""
    said = report(folder, child)
    return said is not None and not said.waiting


def rotation(children: Sequence[Child], seen: Seen | None) -> tuple[str, ...] | None:
    """The routes that the gateway sends to, as it says itself; None where none runs or it has said nothing
    yet."""
    lives = answering(children)
    ready = lives is not None and lives.phase == "Ready"
    return seen.ready if ready and seen is not None else None


def sockets(folder: Folder, listeners: Listeners, child: Child, children: Sequence[Child]) -> list[int]:
    """The open sockets that a process is handed; a port that it binds itself is free. Raises: OSError."""
    process = child.process
    if process.role == "gateway" and process.port:
        try:
            return listeners.take(process.host, process.port)
        except OSError:  # a gateway of the supervisor before may have them, and did not answer at first
            for one in gateways(children):
                listeners.adopt(folder, one)
            return listeners.take(process.host, process.port)
    if process.port and not port_free(process.host, process.port):
        raise OSError(errno.EADDRINUSE, "it is taken")
    return []
