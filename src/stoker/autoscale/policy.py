"""What an autoscaler is told: metrics with their targets, bounds, windows and rates. The HPA's own nouns.

Source: Kubernetes autoscaling/v2 and the flags of kube-controller-manager 1.36.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["Pods", "External", "Object", "Resource", "ContainerResource"]
TargetKind = Literal["Value", "AverageValue", "Utilization"]
Select = Literal["Max", "Min", "Disabled"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure and its target.

    target: in thousandths; of a Utilization in percent of what pods request. about: kind and name of the
    object of an Object metric. selector: the metric's label selector as the controller writes it.
    """

    kind: Kind
    name: str
    target: int
    target_kind: TargetKind = "AverageValue"
    container: str = ""
    about: tuple[str, str] = ("", "")
    selector: str = "nil"


@dataclass(frozen=True, slots=True)
class Rate:
    """How far the number may move within a period: by so many pods, or by a share in percent."""

    kind: Literal["Pods", "Percent"]
    value: int
    period: int


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction. window: seconds of recommendations that are looked at; None is the controller's own.
    tolerance: None is the controller's own."""

    window: int | None
    rates: tuple[Rate, ...]
    select: Select = "Max"
    tolerance: float | None = None

    @property
    def longest(self) -> int:
        """Seconds of the longest period: what happened before it is forgotten."""
        return max((rate.period for rate in self.rates), default=0)


UP = Rules(0, (Rate("Pods", 4, 15), Rate("Percent", 100, 15)))
DOWN = Rules(None, (Rate("Percent", 100, 15),))


@dataclass(frozen=True, slots=True)
class Policy:
    """An HPA. up and down: both None where it has no behavior, which is a way of its own."""

    low: int
    high: int
    metrics: tuple[Metric, ...]
    up: Rules | None = None
    down: Rules | None = None


@dataclass(frozen=True, slots=True)
class Controller:
    """The flags of kube-controller-manager that a decision depends on; seconds. scale_to_zero: the gate
    HPAScaleToZero."""

    sync: float = 15.0
    tolerance: float = 0.1
    window: float = 300.0
    cpu_initialization: float = 300.0
    readiness_delay: float = 30.0
    scale_to_zero: bool = False
