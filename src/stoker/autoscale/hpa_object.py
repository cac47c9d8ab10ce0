"""An HPA object of autoscaling/v2 as a policy, with the defaults that the API server fills in.

Sources: pkg/apis/autoscaling/v2/defaults.go; metav1.LabelSelector's own String.
"""

from collections.abc import Mapping
from typing import Any, cast

from stoker.autoscale.policy import DOWN, UP, Kind, Metric, Policy, Rate, Rules, Select, TargetKind
from stoker.autoscale.quantity import milli, number

_PARTS: Mapping[str, str] = {
    "Pods": "pods",
    "External": "external",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_TARGETS: tuple[tuple[str, TargetKind], ...] = (
    ("averageUtilization", "Utilization"),
    ("averageValue", "AverageValue"),
    ("value", "Value"),
)


def read_policy(spec: Mapping[str, Any]) -> Policy:
    """The `spec` of an HPA. Raises: ValueError, naming the field, for what the API would refuse."""
    low = spec.get("minReplicas")
    low, high = (
        1 if low is None else _count(low, "minReplicas"),
        _count(spec.get("maxReplicas"), "maxReplicas"),
    )
    if high < max(1, low):
        raise ValueError(f"maxReplicas: {high} is less than minReplicas, or than 1")
    found = spec.get("metrics") or ()
    metrics = tuple(_metric(one, f"metrics[{index}]") for index, one in enumerate(found))
    behavior = spec.get("behavior")
    if not behavior:
        return Policy(low, high, metrics)
    return Policy(low, high, metrics, _rules(behavior, "scaleUp", UP), _rules(behavior, "scaleDown", DOWN))


def _count(value: Any, at: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{at}: expected a whole number")
    return value


def _metric(one: Any, at: str) -> Metric:
    kind = str(one.get("type")) if isinstance(one, Mapping) else ""
    if kind not in _PARTS:
        raise ValueError(f"{at}.type: expected one of {', '.join(_PARTS)}")
    part = one.get(_PARTS[kind])
    if not isinstance(part, Mapping):
        raise ValueError(f"{at}.{_PARTS[kind]}: expected a table, as its type is {kind}")
    at = f"{at}.{_PARTS[kind]}"
    target, target_kind = _target(part.get("target"), f"{at}.target")
    about = part.get("describedObject") or {}
    named = part.get("metric") or {}
    return Metric(
        cast(Kind, kind),
        str(part.get("name") or named.get("name") or ""),
        target,
        target_kind,
        str(part.get("container") or ""),
        (str(about.get("kind", "")), str(about.get("name", ""))),
        selector_text(named.get("selector")),
    )


def _target(target: Any, at: str) -> tuple[int, TargetKind]:
    if not isinstance(target, Mapping):
        raise ValueError(f"{at}: expected a table with a value")
    for key, kind in _TARGETS:
        if target.get(key) is not None:
            if number(target[key]) <= 0:
                raise ValueError(f"{at}.{key}: a target is above zero")
            whole = kind == "Utilization"
            return _count(target[key], f"{at}.{key}") if whole else milli(target[key]), kind
    raise ValueError(f"{at}: expected one of averageUtilization, averageValue, value")


def _rules(behavior: Mapping[str, Any], way: str, default: Rules) -> Rules:
    given = behavior.get(way)
    if given is None:
        return default
    window, tolerance = given.get("stabilizationWindowSeconds"), given.get("tolerance")
    policies = given.get("policies")
    rates = default.rates
    if policies:
        rates = tuple(_rate(one, f"behavior.{way}.policies[{n}]") for n, one in enumerate(policies))
    return Rules(
        default.window if window is None else _count(window, f"behavior.{way}.stabilizationWindowSeconds"),
        rates,
        cast(Select, given.get("selectPolicy") or "Max"),
        None if tolerance is None else number(tolerance),
    )


def _rate(one: Mapping[str, Any], at: str) -> Rate:
    if one.get("type") not in ("Pods", "Percent"):
        raise ValueError(f"{at}.type: expected Pods or Percent")
    return Rate(
        one["type"],
        _count(one.get("value"), f"{at}.value"),
        _count(one.get("periodSeconds"), f"{at}.periodSeconds"),
    )


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """A metric's label selector as the controller's messages have it."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    asked = "".join(_requirement(one) for one in selector.get("matchExpressions") or ())
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{asked}}},}}"
    )


def _requirement(one: Mapping[str, Any]) -> str:
    values = " ".join(one.get("values") or ())
    return f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},Values:[{values}],}},"
