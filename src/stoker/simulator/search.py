"""The cheapest setting that keeps the objectives, by trying.

First the least number of fixed replicas that does (doubling, then halving the gap): what autoscaling has to
beat, and what it may need at the peak. Then metrics and targets; of the best of them bounds, behaviors and
nearby targets; then options of the engine. The best few are tried again with other seeds, until the cheapest
that keeps the objectives with 95 % confidence is known. What evaluates is given: here nothing is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from stoker.simulator.choices import BEHAVIORS, Choice, Weighed, front

Evaluate = Callable[[Sequence[Choice], int], list[Weighed]]  # choices, seeds
QUEUE = (1.0, 3.0, 10.0)
SHARES = (0.4, 0.6, 0.8)  # of the requests that a replica has at once at its peak
FACTORS = (0.75, 0.9, 1.15, 1.4)  # of a good target, to look beside it
FINAL = 4  # that are tried with all seeds
SLACK = 0.002  # of attainment, within which a first trial with one seed is not held against a choice


@dataclass(slots=True)
class Found:
    """What a search found. best: None, where nothing keeps the objectives; static: the least fixed number
    that does; statics: of each base. nearest: the one that keeps most. guide: the guide's own setting on the
    file's own base; guide_equal: with as many replicas at least as it needs; as_well: the cheapest that
    keeps as much as the guide's own does, where that is too little. tried: all."""

    best: Weighed | None = None
    static: Weighed | None = None
    nearest: Weighed | None = None
    guide: Weighed | None = None
    guide_equal: Weighed | None = None
    as_well: Weighed | None = None
    tried: list[Weighed] = field(default_factory=list)
    statics: dict[str, Weighed] = field(default_factory=dict)

    @property
    def front(self) -> list[Weighed]:
        """What is worth its price, the cheapest first."""
        return front(self.tried)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for. bases: scenarios to choose from, by name, the file's own first. metrics: that the
    endpoint can serve. most: replicas at most; least: of each base, below which nothing need be tried."""

    share: float
    bases: tuple[str, ...]
    metrics: tuple[str, ...]
    most: int
    seeds: int
    least: Mapping[str, int] = field(default_factory=dict)
    guide_target: float = 10.0


class Search:
    """One search. told: is called with what is being tried."""

    def __init__(self, wanted: Wanted, evaluate: Evaluate, told: Callable[[str], None]) -> None:
        self.wanted, self.found, self._told = wanted, Found(), told
        self._evaluate = evaluate
        self._known: dict[Choice, Weighed] = {}

    def run(self) -> Found:
        """All of it."""
        for base in self.wanted.bases:
            self._static(base)
        if self.found.static is None:
            self._hopeless()
            return self.found
        self._scaled(self.found.static)
        self._decide()
        self._against_the_guide()
        return self.found

    def try_all(self, choices: Sequence[Choice], seeds: int = 1) -> list[Weighed]:
        """Each of them, those that are new."""
        fresh = [one for one in dict.fromkeys(choices) if self._lacks(one, seeds)]
        for one in self._evaluate(fresh, seeds):
            self._known[one.choice] = one
            self.found.tried = [*(old for old in self.found.tried if old.choice != one.choice), one]
        return [self._known[one] for one in dict.fromkeys(choices)]

    def _lacks(self, choice: Choice, seeds: int) -> bool:
        known = self._known.get(choice)
        return known is None or known.seeds < seeds

    def _keeps(self, one: Weighed) -> bool:
        return one.keeps(self.wanted.share - SLACK)

    # fixed replicas

    def _static(self, base: str) -> None:
        """The least number that keeps the objectives; the cheapest base's is kept."""
        high = min(self.wanted.most, self.wanted.least.get(base, 1))
        low = high - 1
        self._told(f"{base}: how many replicas it takes")
        while True:
            (one,) = self.try_all([Choice(base, high, high)])
            if self._keeps(one):
                break
            if high >= self.wanted.most:
                return
            low, high = high, min(self.wanted.most, high * 2)
        while high - low > 1:
            middle = (low + high) // 2
            (tried,) = self.try_all([Choice(base, middle, middle)])
            low, high = (low, middle) if self._keeps(tried) else (middle, high)
        one = self.found.statics[base] = self._known[Choice(base, high, high)]
        if self.found.static is None or one.cost.mean < self.found.static.cost.mean:
            self.found.static = one

    def _hopeless(self) -> None:
        """Nothing does: the nearest, of each base's most replicas, to their end."""
        most: dict[str, Choice] = {}
        for one in self.found.tried:
            base = one.choice.base
            if base not in most or one.choice.high > most[base].high:
                most[base] = one.choice
        whole = self.try_all(list(most.values()), self.wanted.seeds)
        self.found.nearest = max(whole, key=lambda one: (one.attainment.mean, -one.cost.mean))

    # autoscaled

    def _scaled(self, static: Weighed) -> None:
        base, peak = static.choice.base, static.choice.high
        if peak < 2:
            return
        top = min(self.wanted.most, peak + max(1, peak // 4))
        middle = max(1, peak // 2)
        self._told("metrics and their targets")
        first = self.try_all(
            [
                Choice(base, middle, top, metric, target, behavior)
                for metric, target in self._targets(static)
                for behavior in ("default", "steady")
            ]
        )
        best = self._best(first)[:3]
        self._told("the least and the most replicas, and how fast they change")
        lows = sorted({1, max(1, peak // 4), max(1, peak * 3 // 4), peak - 1})
        second = self.try_all(
            [replace(one.choice, low=low) for one in best for low in lows if low < top]
            + [replace(one.choice, behavior=name) for one in best for name in BEHAVIORS]
        )
        best = self._best([*first, *second])[:2]
        self._told("nearby settings")
        self.try_all([near for one in best for near in self._near(one.choice, top)])

    def _targets(self, static: Weighed) -> list[tuple[str, float]]:
        """Metrics with targets worth trying: of what counts requests, shares of what a replica has at its
        peak."""
        out: list[tuple[str, float]] = []
        for metric in self.wanted.metrics:
            if metric == "queue-depth":
                out += [(metric, target) for target in QUEUE]
            else:
                out += [(metric, float(max(1, round(share * static.at_once)))) for share in SHARES]
        return list(dict.fromkeys(out))

    def _near(self, choice: Choice, top: int) -> list[Choice]:
        digits = 1 if choice.target < 10 else 0
        targets = {max(0.5, round(choice.target * factor, digits)) for factor in FACTORS}
        lows = {low for low in (choice.low - 1, choice.low + 1) if 1 <= low < choice.high}
        highs = {high for high in (choice.high + max(1, choice.high // 4),) if high <= self.wanted.most}
        return [
            *(replace(choice, target=target) for target in targets),
            *(replace(choice, low=low) for low in lows),
            *(replace(choice, high=high) for high in highs),
        ]

    def _best(self, found: Sequence[Weighed]) -> list[Weighed]:
        """The cheapest of those that keep the objectives, then those that nearly do."""
        return sorted(
            found,
            key=lambda one: (
                not self._keeps(one),
                one.given_up,
                one.cost.mean if self._keeps(one) else -one.attainment.mean,
            ),
        )

    # the end

    def _decide(self) -> None:
        """The cheapest that keeps them surely, with all seeds."""
        self._told("the best of them again, with other seeds")
        left = [one for one in self._best(self.found.tried) if self._keeps(one)]
        while left:
            some, left = left[:FINAL], left[FINAL:]
            again = self.try_all([one.choice for one in some], self.wanted.seeds)
            sure = [one for one in again if one.surely_keeps(self.wanted.share)]
            if sure:
                self.found.best = min(sure, key=lambda one: one.cost.mean)
                return
        static = self.found.static
        assert static is not None
        self._more_replicas(static.choice)

    def _more_replicas(self, choice: Choice) -> None:
        """Fixed replicas, one more at a time, until it is sure."""
        for count in range(choice.high, min(self.wanted.most, choice.high + 8) + 1):
            (one,) = self.try_all([replace(choice, low=count, high=count)], self.wanted.seeds)
            if one.surely_keeps(self.wanted.share):
                self.found.best = one
                return
        whole = [one for one in self.found.tried if not one.given_up]
        self.found.nearest = max(whole, key=lambda one: one.attainment.mean)

    def _against_the_guide(self) -> None:
        """The guide's own setting with the same bounds, and with as many replicas at least as it needs to
        keep the objectives as well."""
        base = self.wanted.bases[0]
        static = self.found.statics.get(base)
        if self.found.best is None or static is None or static.choice.high < 2:
            return
        self._told("what the guide's own setting does")
        best = self.found.best.choice
        top = max(static.choice.high + 1, best.high if best.base == base else 2)
        guide = Choice(base, 1, top, "queue-depth", self.wanted.guide_target)
        (self.found.guide,) = self.try_all([guide], self.wanted.seeds)
        low, high = 1, top
        while low < high:
            middle = (low + high) // 2
            (one,) = self.try_all([replace(guide, low=middle)], self.wanted.seeds)
            low, high = (low, middle) if one.surely_keeps(self.wanted.share) else (middle + 1, high)
        (one,) = self.try_all([replace(guide, low=low)], self.wanted.seeds)
        self.found.guide_equal = one if one.keeps(self.wanted.share) else None
        if not self.found.guide.keeps(self.wanted.share):
            self._as_well(self.found.guide, static.choice)

    def _as_well(self, guide: Weighed, static: Choice) -> None:
        """What keeps as much as the guide's own setting for less: fixed replicas, or any that was tried."""
        self._told("what would do as well as the guide's own setting")
        much = guide.attainment.mean
        low, high = 0, static.high
        while high - low > 1:
            middle = (low + high) // 2
            (one,) = self.try_all([replace(static, low=middle, high=middle)], self.wanted.seeds)
            low, high = (low, middle) if one.keeps(much) else (middle, high)
        enough = [one for one in self.found.tried if one.keeps(much) and one.seeds == self.wanted.seeds]
        self.found.as_well = min(enough, key=lambda one: one.cost.mean, default=None)


def attainable(one: Weighed, objectives: dict[str, float | None]) -> dict[str, float]:
    """Of each objective that was broken, the bound that 99 of 100 requests would have kept."""
    return {
        name: math.ceil(one.near[name] * 1000) / 1000
        for name, bound in objectives.items()
        if bound is not None and one.near.get(name, 0.0) > bound
    }
