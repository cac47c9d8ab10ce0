"""The conditions of an HPA, in the controller's own words.

Source: pkg/controller/podautoscaler/horizontal.go, Kubernetes 1.36.
"""

from dataclasses import dataclass
from typing import NamedTuple


class Said(NamedTuple):
    """What a condition says, without when it began to."""

    type: str
    status: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition. since: when its status became what it is."""

    said: Said
    since: float

    @property
    def type(self) -> str:
        """Its type."""
        return self.said.type


ABLE, ACTIVE, LIMITED, ZERO = "AbleToScale", "ScalingActive", "ScalingLimited", "ScaledToZero"
GOT_SCALE = Said(
    ABLE, True, "SucceededGetScale", "the HPA controller was able to get the target's current scale"
)
READY = Said(ABLE, True, "ReadyForNewScale", "recommended size matches current size")
DOWN_STABILIZED = Said(
    ABLE,
    True,
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
UP_STABILIZED = Said(
    ABLE,
    True,
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
DISABLED = Said(
    ACTIVE, False, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero"
)
WITHIN = Said(LIMITED, False, "DesiredWithinRange", "the desired count is within the acceptable range")
UP_LIMIT = Said(
    LIMITED,
    True,
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
DOWN_LIMIT = Said(
    LIMITED,
    True,
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)
TOO_MANY = Said(
    LIMITED, True, "TooManyReplicas", "the desired replica count is more than the maximum replica count"
)
TOO_FEW = Said(
    LIMITED, True, "TooFewReplicas", "the desired replica count is less than the minimum replica count"
)
AT_ZERO = Said(ZERO, True, "ScaledToZero", "the HPA controller scaled the workload to zero")
NOT_ZERO = Said(ZERO, False, "NotScaledToZero", "the HPA controller did not scale the workload to zero")


def rescaled(count: int) -> Said:
    """The number was changed."""
    return Said(
        ABLE, True, "SucceededRescale", f"the HPA controller was able to update the target scale to {count}"
    )


def found(metric: str) -> Said:
    """A figure was had. metric: the one that asked for most."""
    return Said(
        ACTIVE,
        True,
        "ValidMetricFound",
        f"the HPA was able to successfully calculate a replica count from {metric}",
    )


def unable(reason: str, why: str) -> Said:
    """No number could be computed."""
    return Said(ACTIVE, False, reason, f"the HPA was unable to compute the replica count: {why}")


def ambiguous(selector: str, rivals: tuple[str, ...]) -> Said:
    """Several HPAs select the same pods."""
    listed = " ".join(rivals)
    return Said(
        ACTIVE,
        False,
        "AmbiguousSelector",
        f"pods by selector {selector} are controlled by multiple HPAs: [{listed}]",
    )


def put(conditions: tuple[Condition, ...], said: Said, now: float) -> tuple[Condition, ...]:
    """Conditions with one set: in its old place, or at the end."""
    for index, one in enumerate(conditions):
        if one.said[0] == said[0]:
            if one.said == said:
                return conditions
            since = one.since if one.said.status == said.status else now
            return (*conditions[:index], Condition(said, since), *conditions[index + 1 :])
    return (*conditions, Condition(said, now))
