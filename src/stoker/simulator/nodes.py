"""A node pool on a virtual clock: who has a node, who waits for one, and what all of them cost."""

from __future__ import annotations

from stoker.simulator.scenario import NodePool


class Node:
    """A machine. ready: when it is there; empty_since: None while a replica is on it."""

    __slots__ = ("asked", "empty_since", "gone", "ready", "used")

    def __init__(self, asked: float, ready: float) -> None:
        self.asked, self.ready = asked, ready
        self.used = 0
        self.empty_since: float | None = asked
        self.gone: float | None = None


class Nodes:
    """All machines of a fleet. A replica takes one place on a node, or several whole nodes."""

    def __init__(self, pool: NodePool) -> None:
        self.pool = pool
        self.all: list[Node] = []
        self._there: list[Node] = []

    def take(self, now: float, warm: bool = False) -> tuple[Node, ...] | None:
        """A place for a replica; None where there is none to be had now. warm: its node is there already."""
        self.tidy(now)
        pool = self.pool
        free = [one for one in self._there if one.used < pool.per_node and (pool.nodes == 1 or not one.used)]
        free.sort(key=lambda one: (-one.used, one.ready))
        lacking = pool.nodes - len(free)
        if lacking > 0:
            full = pool.most is not None and len(self._there) + lacking > pool.most
            if full or (not warm and self._out_of_stock(now)):
                return None
            wait = 0.0 if warm or pool.provision is None else pool.provision
            fresh = [Node(now, now + wait) for _ in range(lacking)]
            self.all += fresh
            self._there += fresh
            free += fresh
        taken = tuple(free[: pool.nodes])
        for one in taken:
            one.used += 1
            one.empty_since = None
        return taken

    def give_back(self, nodes: tuple[Node, ...], now: float) -> None:
        """A replica is gone."""
        for one in nodes:
            one.used -= 1
            if not one.used:
                one.empty_since = now

    def tidy(self, now: float) -> None:
        """Machines that were empty for long enough go. What is not a pool's goes at once."""
        idle = self.pool.idle if self.pool.provision is not None else 0.0
        kept = []
        for one in self._there:
            if one.empty_since is not None and one.ready + idle <= now and one.empty_since + idle <= now:
                one.gone = max(one.ready, one.empty_since) + idle
            else:
                kept.append(one)
        self._there = kept

    def seconds(self, end: float) -> float:
        """How long all of them were paid for, together, by the end."""
        self.tidy(end)
        return sum((end if one.gone is None else min(one.gone, end)) - one.asked for one in self.all)

    def next_stock(self, now: float) -> float:
        """When machines can be had again, at the earliest."""
        return max((end for begin, end in self.pool.stock_outs if begin <= now < end), default=now)

    def _out_of_stock(self, now: float) -> bool:
        return self.pool.provision is not None and any(a <= now < b for a, b in self.pool.stock_outs)
