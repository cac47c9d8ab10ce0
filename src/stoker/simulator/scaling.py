"""The autoscaler on the virtual clock: the controller's own decision, on figures that are as old as they
would be.

Engines' pages are read every `scrape` seconds; what was read counts `delay` seconds later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stoker.autoscale.hpa import Decision, History, decide
from stoker.autoscale.policy import Policy
from stoker.autoscale.seen import Figures, Lost, Scale
from stoker.autoscale.signals import TTFT_WINDOW, figures_of, name_of, scale_of
from stoker.fleet.state import FleetState, Replica, Sample
from stoker.simulator.pods import Pod
from stoker.simulator.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision that changed the number. reason: the controller's own, with what it saw."""

    at: float
    before: int
    wanted: int
    reason: str
    figures: tuple[float | None, ...] = ()


class Autoscaler:
    """Of one fleet."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.policy = scenario.policy
        self._history = History()
        self._looks: deque[tuple[float, dict[str, Sample], int]] = deque()
        self._samples: dict[str, deque[Sample]] = {}
        self._seen: dict[str, Sample] = {}
        self._held: int | None = None
        self._active = 0.0  # when something was last there, for KEDA
        self.decisions: list[Decided] = []
        self.last: Decision | None = None

    def look(self, now: float, pods: Sequence[Pod], held: int) -> None:
        """Reads all pages. held: requests at the endpoint."""
        found: dict[str, Sample] = {}
        for pod in pods:
            pod.look(now)
            if pod.sample is not None:
                found[name_of(pod.seen())] = pod.sample
        self._looks.append((now + self.scenario.watching.delay, found, held))
        if held or any((one.running or 0) + (one.waiting or 0) for one in found.values()):
            self._active = now

    def sync(self, now: float, pods: Sequence[Pod], wanted: int) -> int:
        """The number of replicas from now on."""
        self._arrive(now)
        policy = self.policy
        assert policy is not None
        state = self._state(now, pods, wanted)
        figures = figures_of(policy, state, self._samples)
        if self.scenario.keda is not None:
            return self._keda(now, policy, state, figures, wanted)
        return self._decide(now, policy, scale_of(state), figures)

    def _decide(self, now: float, policy: Policy, scale: Scale, figures: Sequence[Figures]) -> int:
        decision = decide(policy, scale, figures, self._history, now, self.scenario.controller)
        self._history, self.last = decision.history, decision
        if decision.wanted != scale.wanted:
            self._note(now, scale.wanted, decision.wanted, decision.why, figures)
        return decision.wanted

    def _note(self, now: float, before: int, wanted: int, why: str, figures: Sequence[Figures]) -> None:
        self.decisions.append(Decided(now, before, wanted, why, tuple(map(_mean, figures))))

    def _arrive(self, now: float) -> None:
        """Takes what has reached the adapter by now."""
        while self._looks and self._looks[0][0] <= now:
            _, found, self._held = self._looks.popleft()
            self._seen = found
            for name, sample in found.items():
                kept = self._samples.setdefault(name, deque())
                kept.append(sample)
                while kept[-1].at - kept[0].at > TTFT_WINDOW:
                    kept.popleft()
        for name in self._samples.keys() - self._seen.keys():
            del self._samples[name]

    def _state(self, now: float, pods: Sequence[Pod], wanted: int) -> FleetState:
        """The fleet as it is, with figures as they have arrived: an adapter says nothing of their age."""
        replicas = tuple(self._seen_as(pod.seen(), now) for pod in pods)
        return FleetState("", "simulated", now, wanted=wanted, replicas=replicas, requests=self._held)

    def _seen_as(self, replica: Replica, now: float) -> Replica:
        sample = self._seen.get(name_of(replica))
        return replace(replica, sample=None if sample is None else replace(sample, at=now))

    # KEDA

    def poll(self, now: float, pods: Sequence[Pod], wanted: int) -> int:
        """KEDA's own look, from 0 to 1 and back; the rest is its HPA's."""
        self._arrive(now)
        keda, policy = self.scenario.keda, self.policy
        assert keda is not None
        assert policy is not None
        figures = figures_of(policy, self._state(now, pods, wanted), self._samples)
        busy = any(_total(one) for one in figures)
        if wanted == 0 and busy:
            self._note(now, 0, 1, "KEDA: a trigger is active", figures)
            return 1
        if wanted and not busy and now - self._active >= keda.cooldown:
            self._note(now, wanted, 0, "KEDA: no trigger was active for the cooldown", figures)
            return 0
        return wanted

    def _keda(
        self, now: float, policy: Policy, state: FleetState, figures: Sequence[Figures], wanted: int
    ) -> int:
        """KEDA's HPA asks for totals, and rests at 0."""
        if wanted == 0:
            return 0
        own = replace(
            policy,
            low=max(1, policy.low),
            metrics=tuple(replace(one, kind="External") for one in policy.metrics),
        )
        totals = [one if isinstance(one, Lost) else (_total(one),) for one in figures]
        return self._decide(now, own, scale_of(state), totals)


def _total(figures: Figures) -> int:
    """Thousandths of all pods together."""
    if isinstance(figures, tuple):
        return sum(figures)
    if isinstance(figures, Mapping):
        return sum(one for one in figures.values() if isinstance(one, int))
    return figures if isinstance(figures, int) else 0


def _mean(figures: Figures) -> float | None:
    """What an average replica has; of a total, the total."""
    if isinstance(figures, Mapping) and figures:
        return _total(figures) / 1000 / len(figures)
    return None if isinstance(figures, Lost | Mapping) else _total(figures) / 1000
