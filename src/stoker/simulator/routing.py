"""Who gets a request: the gateway's own balancer, a Service's chance, or a picker that looks at engines."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from stoker.fleet.balance import Balancer
from stoker.simulator.pods import Pod
from stoker.simulator.request import Request
from stoker.simulator.scenario import Routing


class Router(Protocol):
    """Chooses among replicas that are ready."""

    def choose(self, ready: Sequence[Pod], request: Request) -> Pod:
        """One of `ready`, which is not empty."""
        ...


class InFlight:
    """The gateway: least requests in flight, with prefix affinity."""

    def __init__(self) -> None:
        self._balancer = Balancer()

    def choose(self, ready: Sequence[Pod], request: Request) -> Pod:
        """By its own count."""
        return self._balancer.choose(ready, [hash(one) for one in request.home])


class Chance:
    """A Service: each connection goes anywhere."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def choose(self, ready: Sequence[Pod], request: Request) -> Pod:
        """Any."""
        return ready[self._random.randrange(len(ready))]


class Queue:
    """A picker that reads engines' pages: the shortest queue, then the emptiest KV cache.

    Source: gateway-api-inference-extension, the queue and kv-cache-utilization scorers.
    """

    def choose(self, ready: Sequence[Pod], request: Request) -> Pod:
        """By what the engines show."""
        return min(ready, key=_load)


def _load(pod: Pod) -> tuple[int, float, int]:
    engine = pod.engine
    assert engine is not None
    return engine.waiting, engine.state.blocks.usage, len(pod.running)


def router(routing: Routing, random: Random) -> Router:
    """The one of that name."""
    if routing == "random":
        return Chance(random)
    return Queue() if routing == "queue" else InFlight()
