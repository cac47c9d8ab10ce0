"""A fleet on a virtual clock: requests come, are routed, served and lost; replicas start, drain and die; an
autoscaler decides. Nothing here knows how a batch is made, or a decision taken.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from random import Random

from stoker.simulator.clients import Clients
from stoker.simulator.clock import Clock
from stoker.simulator.endpoint import Endpoint
from stoker.simulator.misfortunes import CHECKED, Misfortunes, Patience
from stoker.simulator.neighbours import Neighbours
from stoker.simulator.nodes import Nodes
from stoker.simulator.pods import Pod
from stoker.simulator.request import Request
from stoker.simulator.routing import Router, router
from stoker.simulator.scaling import Autoscaler
from stoker.simulator.scenario import Scenario

RETRY = 1.0  # seconds until a pod without a node asks again


class Fleet:
    """One run of a scenario with one seed. `run` takes it to its end. logged: whether engines keep the end of
    each of their steps. enough: how many requests may break an objective before it is given up, None for any
    number."""

    def __init__(
        self, scenario: Scenario, seed: int = 0, logged: bool = False, enough: float | None = None
    ) -> None:
        self.scenario, self.logged, self._enough = scenario, logged, enough
        self.given_up = False
        self.broken = 0  # requests that are done and broke an objective, where that is counted
        self.clock = Clock()
        self.now = 0.0
        self.pods: list[Pod] = []
        self.gone: list[Pod] = []
        # a fleet on this machine decides as it looks, is woken at once (see operate.autoscaler), and begins
        # with a replica, so that it is seen to serve
        self._here = scenario.controller.scale_to_zero
        self.wanted = max(scenario.replicas.low, int(self._here))
        self._sync_due = math.inf
        self.moved = 0.0  # when a request last came, or was done with
        self.nodes = Nodes(scenario.pool)
        self.requests: list[Request] = []
        self.waiting: deque[Request] = deque()
        self.scaler = Autoscaler(scenario)
        self.random = Random(f"{seed}/fleet")
        self.router: Router = router(scenario.routing, self.random)
        self.ready: list[Pod] = []
        self.open = 0  # requests that have come and are not done
        self.deaths = 0
        self.counts: list[tuple[float, int]] = [(0.0, self.wanted)]  # how many were asked for, since when
        self.endpoint = Endpoint(self, enough is not None)
        size = scenario.limits.block_size
        self.clients = Clients(scenario.workload, size, self.endpoint.ask, self.clock.at)
        shared = scenario.profile.shared if scenario.together else 0.0
        self._neighbours = Neighbours(shared) if shared else None
        self._order = 0
        self._pod_due: list[tuple[float, int, Pod]] = []
        self._number = 0

    # the clock

    def run(self, until: float = math.inf, patience: float = 600.0) -> None:
        """Until all is answered, or `patience` seconds after the last request came, or until then."""
        self._begin()
        end = min(until, self._end() + patience)
        while True:
            arrival = self.clients.due
            event = self.clock.due
            pod = self._pod_due[0][0] if self._pod_due else math.inf
            now = min(arrival, event, pod)
            if now > end or now == math.inf or self.given_up or self._over(now, patience):
                break
            self.now = now
            if pod <= now:
                self._pod_event(now)
            elif event <= now:
                self.clock.turn(now)
            else:
                self.clients.arrive()
            if self._neighbours is not None:
                for one in self._neighbours.look(self.pods, now):
                    self.watch(one)
        self.now = min(end, self.now) if self.now < math.inf else end
        self._close()

    def _over(self, now: float, patience: float) -> bool:
        """Whether nobody comes any more, and what is here is done, or has not moved for that long."""
        return self.clients.over and (not self.open or now > self.moved + patience)

    def _end(self) -> float:
        """When the last request that is known of comes."""
        workload = self.scenario.workload
        return workload.duration if workload.duration < math.inf else math.inf

    # the beginning

    def _begin(self) -> None:
        for _ in range(self.wanted):
            self._begin_one()
        scenario = self.scenario
        if scenario.policy is not None:
            self._begin_scaling()
        Misfortunes(self).begin()
        if self._enough is not None:
            patience = Patience(self, self._enough)
            self.clock.every(CHECKED, patience.look, CHECKED)

    def _begin_one(self) -> None:
        """A replica that is there as it begins; without a machine for it, one that waits for one."""
        pod = self._made(0.0)
        nodes = None if self.scenario.cold else self.nodes.take(0.0, warm=True)
        if nodes is None:
            self._place(pod, 0.0)
            return
        pod.place(nodes, 0.0, ())
        self._enter_rotation(pod, 0.0)

    def _begin_scaling(self) -> None:
        scenario = self.scenario
        self.clock.every(scenario.watching.scrape, self._look)
        self._sync_due = scenario.controller.sync / 2
        if not self._here:
            self.clock.at(self._sync_due, self._sync_when_due)
        if scenario.keda is not None and not scenario.replicas.low:
            self.clock.every(scenario.keda.polling, self._poll, scenario.keda.polling / 2)

    def _made(self, now: float) -> Pod:
        self._number += 1
        pod = Pod(self._number, self.scenario, now, self.logged)
        self.pods.append(pod)
        return pod

    def _close(self) -> None:
        """What is not done at the end is no failure, and no success."""
        for one in self._unfinished():
            if one.failed is None and one.last_at is None:
                one.failed = "cancelled"

    def _unfinished(self) -> Iterator[Request]:
        yield from self.waiting
        for pod in self.pods:
            yield from pod.running

    # replicas

    def watch(self, pod: Pod) -> None:
        """Something in it happens at another time than was thought."""
        engine = pod.engine
        due = pod.due if engine is None else min(pod.due, engine.due)
        if due < math.inf:
            self._order += 1
            heapq.heappush(self._pod_due, (due, self._order, pod))

    def _pod_event(self, now: float) -> None:
        due, _, pod = heapq.heappop(self._pod_due)
        engine = pod.engine
        if engine is not None and engine.due == due:
            for request in engine.turn(now):
                self._answered(pod, request, now)
            self.watch(pod)
            if pod.phase == "Draining" and not pod.running:
                self._remove(pod, now)
        elif pod.due == due and pod.phase != "Ready":
            self._go_on(pod, now)

    def _answered(self, pod: Pod, request: Request, now: float) -> None:
        if request.failed is not None:
            return  # its client has left meanwhile
        pod.running.pop(request, None)
        if request.first is not None:
            request.first += request.beside
        assert request.last_at is not None
        request.last_at += request.beside
        self.endpoint.done(request, now)

    def _go_on(self, pod: Pod, now: float) -> None:
        if pod.phase == "Draining":
            self._cut(pod, now)
        elif pod.go_on(now):
            self._enter_rotation(pod, now)
        else:
            self.watch(pod)

    def _enter_rotation(self, pod: Pod, now: float) -> None:
        self.ready.append(pod)
        held, self.waiting = list(self.waiting), deque()
        for request in held:
            self.endpoint.hand(request, now)

    def _start(self, now: float) -> None:
        """Another replica."""
        self._place(self._made(now), now)

    def _place(self, pod: Pod, now: float) -> None:
        if pod not in self.pods or pod.nodes:
            return
        nodes = self.nodes.take(now)
        if nodes is None:
            self.clock.at(max(now + RETRY, self.nodes.next_stock(now)), lambda then: self._place(pod, then))
            return
        pod.place(nodes, now, self.scenario.starting.phases)
        if pod.phase == "Ready":
            self._enter_rotation(pod, now)
        self.watch(pod)

    def _stop(self, pod: Pod, now: float) -> None:
        """It takes no more requests, and finishes what it has."""
        if pod in self.ready:
            self.ready.remove(pod)
        if not pod.running:
            self._remove(pod, now)
            return
        pod.phase, pod.since = "Draining", now
        pod.due = now + self.scenario.drain
        self.watch(pod)
        self.clock.at(pod.due, lambda then: self._cut(pod, then))

    def _cut(self, pod: Pod, now: float) -> None:
        """Its time is over."""
        if pod not in self.pods:
            return
        left = list(pod.running)
        if pod.engine is not None:
            pod.engine.drop(now)
        self._remove(pod, now)
        self.endpoint.lost(left, now)

    def _remove(self, pod: Pod, now: float) -> None:
        self.pods.remove(pod)
        self.gone.append(pod)
        pod.gone_at = now
        pod.running.clear()
        pod.due = math.inf
        if pod.engine is not None:
            pod.engine.due = math.inf
        self.nodes.give_back(pod.nodes, now)

    def fail(self, pod: Pod, now: float) -> None:
        """A ready replica's engine dies, and its container is started again."""
        self.ready.remove(pod)
        self.deaths += 1
        left = pod.die(now)
        if pod.phase == "Ready":
            self._enter_rotation(pod, now)
        self.watch(pod)
        self.endpoint.lost(left, now)

    # how many

    def _look(self, now: float) -> None:
        self.scaler.look(now, self.pods, self.open)
        asleep = not self.wanted and self.open > 0
        if self._here and (asleep or now >= self._sync_due):
            self._sync(now)

    def _sync_when_due(self, now: float) -> None:
        self._sync(now)
        self.clock.at(self._sync_due, self._sync_when_due)

    def _poll(self, now: float) -> None:
        self.scale(self.scaler.poll(now, self.pods, self.wanted), now)

    def _sync(self, now: float) -> None:
        self._sync_due = now + self.scenario.controller.sync
        self.scale(self.scaler.sync(now, self.pods, self.wanted), now)

    def scale(self, wanted: int, now: float) -> None:
        """So many replicas from now on. Who goes first: those that are not ready, then the newest."""
        if wanted != self.wanted:
            self.counts.append((now, wanted))
        self.wanted = wanted
        there = [pod for pod in self.pods if pod.phase != "Draining"]
        for _ in range(wanted - len(there)):
            self._start(now)
        there.sort(key=_goes_first)
        for pod in there[: max(0, len(there) - wanted)]:
            self._stop(pod, now)


def _goes_first(pod: Pod) -> tuple[bool, float]:
    """Who is taken away first: what is not ready, then the newest. Source: Kubernetes'
    controller_utils.go, ActivePodsWithRanks."""
    ready = pod.phase == "Ready"
    return ready, -(pod.ready_at or 0.0) if ready else -float(pod.number)
