"""HPAs of all sorts, as an API server would have defaulted them, and edits of them."""

import random
from typing import Any

Spec = dict[str, Any]

KINDS = {
    ("Pods", "AverageValue"): 40,
    ("External", "AverageValue"): 16,
    ("External", "Value"): 12,
    ("Object", "AverageValue"): 7,
    ("Object", "Value"): 7,
    ("Resource", "Utilization"): 9,
    ("Resource", "AverageValue"): 4,
    ("ContainerResource", "Utilization"): 4,
    ("ContainerResource", "AverageValue"): 2,
}
TARGETS = ("10", "10", "5", "1", "100", "1500m", "333m", "7", "32", "1k", "300m")
MEMORY_TARGETS = ("128Mi", "1Gi", "1500Mi", "64M", "1000")
CPU_TARGETS = ("500m", "1", "250m", "2")
PERCENT = (50, 80, 80, 100, 150, 1, 33)
WINDOWS = (0, 0, 0, 5, 10, 15, 30, 60, 13)
PERIODS = (15, 15, 5, 10, 30, 60, 7)
PODS = (4, 1, 2, 3, 10)
POLICY_PERCENT = (100, 100, 50, 10, 30, 80, 90, 12, 68, 200, 900, 25)  # some are off by a bit as floats
TOLERANCES = ("50m", "100m", "300m", "0", "1", "10m")
SELECTORS: tuple[Spec | None, ...] = (
    None,
    None,
    None,
    {"matchLabels": {"queue": "high", "app": "x"}},
    {"matchExpressions": [{"key": "queue", "operator": "In", "values": ["a", "b"]}]},
)


def flags(chance: random.Random) -> Spec:
    """A controller's flags."""
    zero = chance.random() < 0.6
    return {
        "horizontal-pod-autoscaler-sync-period": chance.choice(("15s", "15s", "5s", "3s", "10s")),
        "horizontal-pod-autoscaler-downscale-stabilization": chance.choice(
            ("10s", "30s", "1m0s", "5m0s", "0s")
        ),
        "horizontal-pod-autoscaler-tolerance": chance.choice((0.1, 0.1, 0.1, 0.2, 0.05, 0, 0.3)),
        "horizontal-pod-autoscaler-initial-readiness-delay": chance.choice(("30s", "1s", "15s")),
        "horizontal-pod-autoscaler-cpu-initialization-period": chance.choice(("5m0s", "30s", "1m0s", "2m0s")),
        "feature-gates": f"HPAScaleToZero={str(zero).lower()}",
    }


def spec(chance: random.Random, prefix: str, scale_to_zero: bool) -> Spec:
    """An HPA's spec; metrics are named after the sequence, as in recordings."""
    many = chance.choices((1, 2, 3), (60, 30, 10))[0]
    metrics = [metric(chance, f"{prefix}-{'abc'[number]}") for number in range(many)]
    whole = {
        "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
        "metrics": metrics,
    }
    whole |= bounds(chance, scale_to_zero and any(one["type"] in ("Object", "External") for one in metrics))
    if chance.random() < 0.72:
        whole["behavior"] = behavior(chance)
    return whole


def bounds(chance: random.Random, from_zero: bool) -> Spec:
    """The least and the most replicas; often the same, sometimes 0."""
    least = 0 if from_zero and chance.random() < 0.6 else chance.choice((1, 1, 1, 2, 3, 5))
    most = max(1, least + chance.choice((0, 1, 2, 4, 8, 8, 15, 15, 25, 60)))
    return {"minReplicas": least, "maxReplicas": most}


def metric(chance: random.Random, name: str) -> Spec:
    """One metric of any kind."""
    kind, sort = chance.choices(list(KINDS), list(KINDS.values()))[0]
    if kind in ("Resource", "ContainerResource"):
        resource = "cpu" if chance.random() < 0.75 else "memory"
        source: Spec = {"name": resource, "target": _resource_target(chance, sort, resource)}
        if kind == "ContainerResource":
            return {"type": kind, "containerResource": source | {"container": chance.choice(("app", "side"))}}
        return {"type": kind, "resource": source}
    target = chance.choice(TARGETS)  # the API refuses 0
    named = {"name": name}
    selector = chance.choice(SELECTORS) if kind in ("External", "Object") else None
    source = {"metric": named | ({"selector": selector} if selector else {})}
    source["target"] = {"type": sort, "value" if sort == "Value" else "averageValue": target}
    if kind == "Object":
        source["describedObject"] = {"kind": "Service", "name": "front", "apiVersion": "v1"}
    return {"type": kind, kind.lower(): source}


def _resource_target(chance: random.Random, sort: str, resource: str) -> Spec:
    if sort == "Utilization":
        return {"type": sort, "averageUtilization": chance.choice(PERCENT)}
    return {"type": sort, "averageValue": chance.choice(CPU_TARGETS if resource == "cpu" else MEMORY_TARGETS)}


def behavior(chance: random.Random) -> Spec:
    """Both directions: windows, policies, tolerances."""
    up = _rules(chance, [{"type": "Pods", "value": 4, "periodSeconds": 15}, _percent(100, 15)])
    down = _rules(chance, [_percent(100, 15)])
    up["stabilizationWindowSeconds"] = chance.choice(WINDOWS)
    if chance.random() < 0.8:
        down["stabilizationWindowSeconds"] = chance.choice(WINDOWS)
    return {"scaleUp": up, "scaleDown": down}


def _rules(chance: random.Random, policies: list[Spec]) -> Spec:
    if chance.random() < 0.65:
        policies = [_policy(chance) for _ in range(chance.choice((1, 1, 2, 2, 3)))]
    rules = {
        "selectPolicy": chance.choices(("Max", "Min", "Disabled"), (60, 30, 10))[0],
        "policies": policies,
    }
    if chance.random() < 0.25:
        rules["tolerance"] = chance.choice(TOLERANCES)
    return rules


def _policy(chance: random.Random) -> Spec:
    if chance.random() < 0.5:
        return {"type": "Pods", "value": chance.choice(PODS), "periodSeconds": chance.choice(PERIODS)}
    return _percent(chance.choice(POLICY_PERCENT), chance.choice(PERIODS))


def _raised(chance: random.Random, before: Spec) -> Spec:
    least = chance.choice((1, 2, 3))
    after = before | {"minReplicas": least, "maxReplicas": max(least, before["maxReplicas"])}
    if chance.random() < 0.3:
        target = {"type": "AverageValue", "averageValue": "10"}
        after["metrics"] = [{"type": "Pods", "pods": {"metric": {"name": "late-a"}, "target": target}}]
    return after


def _longer(chance: random.Random, rules: Spec) -> Spec:
    times = chance.choice((2, 6, 20))
    policies = [one | {"periodSeconds": min(one["periodSeconds"] * times, 1800)} for one in rules["policies"]]
    return rules | {"policies": policies}


def _percent(value: int, period: int) -> Spec:
    return {"type": "Percent", "value": value, "periodSeconds": period}


def edited(chance: random.Random, before: Spec, scale_to_zero: bool, replicas: int) -> Spec:
    """A spec that somebody changed: its bounds, its behavior, a target, or a metric more or fewer; at 0
    replicas often its minimum, and where it has policies often their periods."""
    if replicas == 0 and chance.random() < 0.6:
        return _raised(chance, before)
    if "behavior" in before and chance.random() < 0.4:
        return before | {"behavior": {way: _longer(chance, one) for way, one in before["behavior"].items()}}
    after = dict(before)
    what = chance.randrange(5)
    outside = any(one["type"] in ("Object", "External") for one in before["metrics"])
    if what == 0:
        after |= bounds(chance, scale_to_zero and outside)
    elif what == 1:
        after["behavior"] = behavior(chance)
    elif what == 2:
        if after.pop("behavior", None) is None:
            after["behavior"] = behavior(chance)
    elif what == 3 and len(before["metrics"]) > 1:
        after["metrics"] = before["metrics"][:1]
    else:
        first = before["metrics"][0]
        name = first.get("pods", first.get("external", first.get("object", {}))).get("metric", {}).get("name")
        after["metrics"] = [metric(chance, name or "late-a"), *before["metrics"][1:]]
    zero = any(one["type"] in ("Object", "External") for one in after["metrics"])
    if after["minReplicas"] == 0 and not zero:
        after["minReplicas"] = 1
    return after
