"""Process: what a machine is to run, as a value. The supervisor keeps it without knowing what it is for."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from stoker.fleet.typed import typed

WITHHELD = "STOKER_WITHHELD"  # of a process' environment: variables of the shell that it is not given
Role = Literal["engine", "gateway", "page", "autoscaler"]
BESIDE: tuple[Role, ...] = ("page", "autoscaler")  # a fleet serves without them


@dataclass(frozen=True)
class Process:
    """One process to keep. `{port}` in `argv` stands for a loopback port chosen at each start.

    key_env names environment variables and the private files that hold their values.
    health is the path that answers 200 once it serves; empty for one that is asked nothing. routed ones
    receive requests through the gateway and are drained before they stop. after names a role of which one
    must be ready first. surge lets a replacement start beside the one it replaces. grace: seconds from
    SIGTERM to SIGKILL; stall: seconds in which requests wait there and nothing moves, after which it counts
    as hung.
    """

    role: Role
    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    key_env: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    host: str = "127.0.0.1"
    health: str = "/health"
    routed: bool = False
    after: Role | None = None
    surge: bool = True
    ranks: int = 1
    hardware: str = ""
    grace: float = 15.0
    stall: float = 180.0

    @property
    def key(self) -> str:
        """Its name among all processes of the fleet."""
        return f"{self.role}-{self.name}" if self.routed else self.role

    @cached_property
    def fingerprint(self) -> str:
        """Changes when a running one has to be replaced."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Everything the supervisor is to keep, at one revision. group is this node's place among several, if
    any."""

    revision: int
    name: str
    processes: tuple[Process, ...]
    drain_timeout: float = 300.0
    endpoint: str | None = None
    page: str | None = None
    model: str | None = None
    command: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    restart: int = 0
    group: Mapping[str, Any] | None = None

    @property
    def replicas(self) -> int:
        """How many routed processes are wanted."""
        return sum(process.routed for process in self.processes)

    @property
    def queue_timeout(self) -> float:
        """Seconds that a request may wait for a replica; 0 where the fleet is to go."""
        endpoint = self.spec.get("endpoint") or {}
        return float(endpoint.get("queue_timeout") or endpoint.get("hold") or 0) if self.processes else 0.0

    def stamp(self, process: Process) -> str:
        """Which life of the process is wanted: a running one with another stamp is replaced."""
        return f"{process.fingerprint}/{self.restart if process.routed else 0}"


def wanted_to_json(wanted: Wanted) -> dict[str, Any]:
    """Plain values."""
    return asdict(wanted)


def wanted_from_json(raw: dict[str, Any]) -> Wanted:
    """What `wanted_to_json` wrote. Raises: ValueError, for anything else."""
    return typed(Wanted, raw)
