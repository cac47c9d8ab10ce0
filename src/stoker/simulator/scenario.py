"""Scenario: all that a simulation is told, as one value. Times are seconds, prices dollars an hour."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from stoker.autoscale.policy import Controller, Policy
from stoker.engine.profile import EngineProfile
from stoker.engine.scheduler import SchedulerLimits
from stoker.findings import Finding
from stoker.fleet.state import Phase
from stoker.traffic.objectives import SHARE, LatencyObjectives
from stoker.traffic.workload import Workload
from stoker.units import Range

Routing = Literal["in-flight", "random", "queue"]


@dataclass(frozen=True, slots=True)
class Starting:
    """What a new replica goes through, after its node is there: phases with their seconds, in order. again:
    the seconds of those that a container which is started again on its node goes through."""

    phases: tuple[tuple[Phase, float], ...] = ()
    again: tuple[tuple[Phase, float], ...] = ()

    @property
    def seconds(self) -> float:
        """All of them."""
        return sum(seconds for _, seconds in self.phases)


@dataclass(frozen=True, slots=True)
class NodePool:
    """Machines that come and go with the pods on them.

    provision: seconds until a new one is there; None where machines are just there (this one, or a fixed
    pool). per_node: replicas that one holds; nodes: that one replica takes. most: its quota. idle: seconds
    after which an empty one goes. stock_outs: from when to when none can be had. price: of one node.
    """

    provision: float | None = None
    per_node: int = 1
    nodes: int = 1
    most: int | None = None
    idle: float = 600.0
    stock_outs: tuple[tuple[float, float], ...] = ()
    price: float | None = None
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Watching:
    """How figures reach the autoscaler: how often engines are looked at, and how old a figure is at least
    when it arrives."""

    scrape: float = 15.0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Keda:
    """What KEDA adds to its HPA: from 0 to 1 and back."""

    polling: float = 30.0
    cooldown: float = 300.0


@dataclass(frozen=True, slots=True)
class Failures:
    """Replicas that die: at given seconds, and at random, on average one a replica in so many seconds."""

    at: tuple[float, ...] = ()
    every: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fleet, its traffic, and what may befall it.

    policy: None where the number of replicas is fixed. queue_timeout: how long the endpoint holds a request
    while nothing is ready; 0 for an endpoint that holds none. drain: how long a replica that leaves may
    finish. timeout: after which a client gives up. tries: how often the endpoint sends a
    request that has shown nothing yet. cold: whether it begins without a replica, rather than with the
    lowest number. together: whether all replicas are on one machine, whose cores' bandwidth they share.
    findings: what was found before it began.
    """

    limits: SchedulerLimits
    profile: EngineProfile
    workload: Workload
    replicas: Range = Range(1, 1)
    policy: Policy | None = None
    controller: Controller = Controller()
    watching: Watching = Watching()
    keda: Keda | None = None
    starting: Starting = Starting()
    pool: NodePool = NodePool()
    failures: Failures = Failures()
    routing: Routing = "in-flight"
    queue_timeout: float = 30.0
    drain: float = 300.0
    timeout: float = math.inf
    tries: int = 3
    cold: bool = False
    together: bool = False
    objectives: LatencyObjectives = LatencyObjectives()
    share: float = SHARE
    name: str = "fleet"
    model: str = ""
    findings: tuple[Finding, ...] = ()
