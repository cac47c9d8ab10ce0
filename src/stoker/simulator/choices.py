"""Choice: what may be set differently, and what a simulation says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stoker.autoscale.from_spec import policy_of
from stoker.simulator.run import Interval, Simulated
from stoker.simulator.scenario import Scenario
from stoker.spec.nouns import Scaling
from stoker.units import Range

# The HPA's own fields, by a name. `default` has none: the controller's own ways, as in the guide.
BEHAVIORS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "steady": {
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
        }
    },
    "slow down": {
        "scaleDown": {
            "stabilizationWindowSeconds": 900,
            "policies": [{"type": "Percent", "value": 10, "periodSeconds": 60}],
        }
    },
    "calm": {
        "scaleUp": {
            "stabilizationWindowSeconds": 30,
            "policies": [{"type": "Pods", "value": 2, "periodSeconds": 60}],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
        },
    },
    "quick": {
        "scaleDown": {
            "stabilizationWindowSeconds": 60,
            "policies": [{"type": "Percent", "value": 50, "periodSeconds": 30}],
        }
    },
}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is tried. base: which scenario it changes, by a name (a GPU, a layout, options of the engine).

    metric: None for a fixed number of replicas, which is then `high`. behavior: a name of BEHAVIORS.
    """

    base: str
    low: int
    high: int
    metric: str | None = None
    target: float = 0.0
    behavior: str = "default"

    @property
    def replicas(self) -> Range:
        """As the file has them."""
        return Range(self.low, self.high)

    @property
    def scaling(self) -> Scaling | None:
        """The file's part."""
        if self.metric is None or self.low == self.high:
            return None
        return Scaling({self.metric: self.target}, BEHAVIORS[self.behavior])

    def of(self, scenario: Scenario) -> Scenario:
        """The scenario with it."""
        scaling = self.scaling
        policy = policy_of(scaling, self.replicas) if scaling else None
        return replace(
            scenario, replicas=self.replicas if policy else Range(self.high, self.high), policy=policy
        )

    def __str__(self) -> str:
        if self.scaling is None:
            return f"{self.high} replica{'s' * (self.high != 1)}"
        behavior = "" if self.behavior == "default" else f", {self.behavior}"
        return f"{self.low}..{self.high} on {self.metric} {self.target:g}{behavior}"


@dataclass(frozen=True, slots=True)
class Weighed:
    """A choice, and what came of it. attainment: share of requests that kept all objectives; cost: dollars,
    or hours of GPUs or replicas where there is no price."""

    choice: Choice
    attainment: Interval
    cost: Interval
    seeds: int
    figures: Mapping[str, Interval] = field(default_factory=dict, repr=False)
    broken: Mapping[str, int] = field(default_factory=dict)
    near: Mapping[str, float] = field(default_factory=dict)
    at_once: float = 0.0
    spent: Mapping[str, float] = field(default_factory=dict)
    given_up: bool = False

    def keeps(self, share: float) -> bool:
        """Whether it keeps them in the mean. One that was given up does not, whatever its first part says."""
        return not self.given_up and self.attainment.mean >= share

    def surely_keeps(self, share: float) -> bool:
        """Whether it keeps them with 95 % confidence over the seeds."""
        return not self.given_up and self.attainment.low >= share


def weighed(choice: Choice, found: Simulated) -> Weighed:
    """What a simulation says of a choice. Raises: KeyError, of one without objectives."""
    figures = found.figures
    cost = next(figures[name] for name in ("cost", "gpu_hours", "replica_hours") if _told(figures, name))
    summary = found.run.summary
    near = {"ttft": summary.ttft.p99, "itl": summary.tpot.p99, "e2e": summary.e2e.p99}
    return Weighed(
        choice,
        figures["attainment"],
        cost,
        found.seeds,
        figures,
        summary.broken,
        near,
        summary.peak_concurrency / max(1, found.use.most),
        found.spent,
        found.given_up,
    )


def _told(figures: Mapping[str, Interval], name: str) -> bool:
    return name in figures and figures[name].mean > 0


def front(found: list[Weighed]) -> list[Weighed]:
    """Those of which none is cheaper and keeps more: the cheapest first."""
    out: list[Weighed] = []
    whole = [one for one in found if not one.given_up]
    for one in sorted(whole, key=lambda one: (one.cost.mean, -one.attainment.mean)):
        if not out or one.attainment.mean > out[-1].attainment.mean + 1e-9:
            out.append(one)
    return out
