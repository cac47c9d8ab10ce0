"""The file's `scaling:` part: metrics with their targets, and the HPA's own `behavior`."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from stoker.bounds import shown
from stoker.spec.fields import Number, SyncField, Whole
from stoker.spec.strict import Strict
from stoker.units import Seconds


def read_targets(value: Any) -> Any:
    """`kv-cache: 80%` as 0.8 and `ttft: 500ms` as 0.5; the rest is left to the fields' own checks."""
    if not isinstance(value, dict):
        return value
    return {name: _target(name, one) for name, one in value.items()}


def _target(name: Any, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name == "kv-cache" and re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?\s*%", value):
        return float(value.rstrip("% ")) / 100
    if name == "ttft":
        try:
            return float(Seconds.parse(value))
        except ValueError:
            return value
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(
            f"{shown(value)} is no target: expected a number; `kv-cache` takes a share such as 80%, `ttft` a "
            "duration such as 1s"
        )
    return value


TargetValue = Annotated[Number, BeforeValidator(_number)]


class PolicyFile(Strict):
    """One rate limit of the HPA."""

    type: Literal["Pods", "Percent"]
    value: Annotated[Whole, Field(ge=1, le=1_000_000)]
    periodSeconds: Annotated[Whole, Field(ge=1, le=1800)]


class RulesFile(Strict):
    """One direction of the HPA's behavior."""

    stabilizationWindowSeconds: Annotated[Whole, Field(ge=0, le=3600)] | None = None
    selectPolicy: Literal["Max", "Min", "Disabled"] | None = None
    policies: list[PolicyFile] | None = None
    tolerance: (
        Annotated[Number, Field(ge=0, le=100)]
        | Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?m?$")]
        | None
    ) = None


class BehaviorFile(Strict):
    """The HPA's own `behavior`."""

    scaleUp: RulesFile | None = None
    scaleDown: RulesFile | None = None


class ScalingFile(Strict):
    """When to have more or fewer replicas."""

    metrics: Annotated[
        dict[
            Literal["queue-depth", "batch-size", "kv-cache", "ttft", "in-flight"],
            Annotated[TargetValue, Field(gt=0, le=1_000_000)],
        ],
        BeforeValidator(read_targets),
    ] = Field(
        description="Target average a replica, by metric: `queue-depth` (requests waiting), `batch-size` "
        "(requests running), `kv-cache` (share of the KV cache in use, such as `80%`), `ttft` (mean time to "
        "first token of the last minute, such as `1s`), all as the engine counts them; `in-flight` (requests "
        "that the endpoint holds or waits for, which no engine has to report). The largest result wins.",
        min_length=1,
    )
    behavior: BehaviorFile | None = Field(
        None,
        description="The HPA's own fields: `scaleUp`, `scaleDown` with `stabilizationWindowSeconds`, "
        "`policies`, `selectPolicy`, `tolerance`.",
    )
    sync_period: SyncField = Field(
        Seconds(15),
        description="How often it is decided on this machine, at least a second. A cluster's controller "
        "has a "
        "flag of its own, 15 s unless it was changed.",
    )
