"""The HPA's status in words: what `kubectl get hpa` shows, and what it means.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from dataclasses import replace
from typing import Any

from lightkube.utils.quantity import parse_quantity

from stoker.fleet.state import ScaledBy, Scaling
from stoker.render.manifests.scaling import METRICS, TOLERANCE
from stoker.targets.kubernetes.pods import moment

Object = dict[str, Any]


def read(hpa: Object) -> Scaling:
    """An HPA as a value."""
    spec, status, meta = hpa["spec"], hpa.get("status", {}), hpa["metadata"]
    reference = spec["scaleTargetRef"]
    now = int(status.get("currentReplicas", 0))
    wanted = int(status.get("desiredReplicas", 0)) or now
    metrics = tuple(_metric(one, status) for one in spec.get("metrics", ()))
    found = Scaling(
        by=f"{meta['name']} {reference['kind']}/{reference['name']}", low=int(spec.get("minReplicas", 1)),
        high=int(spec["maxReplicas"]), now=now, wanted=wanted, metrics=metrics, reason="",
        since=moment(meta.get("creationTimestamp")),
    )  # fmt: skip
    conditions = {one["type"]: one for one in status.get("conditions", ())}
    return replace(found, reason=_reason(found, conditions))


def _metric(one: Object, status: Object) -> ScaledBy:
    """A metric of the spec with its newest figure."""
    kind = one["type"][0].lower() + one["type"][1:]
    asked = one.get(kind, {})
    name = _name(asked)
    current: Object = next(
        (
            found[kind].get("current", {})
            for found in status.get("currentMetrics") or ()
            if found.get("type") == one["type"] and _name(found.get(kind, {})) == name
        ),
        {},
    )
    return ScaledBy(_known(name), _figure(current), _figure(asked.get("target", {})))


def _name(part: Object) -> str:
    return str(part.get("metric", {}).get("name") or part.get("name", ""))


def _known(name: str) -> str:
    """Stoker's own name of a metric, whatever the adapter calls it."""
    families = {family.partition(":")[2]: ours for ours, family in METRICS.items()}
    return next((ours for family, ours in families.items() if family in name), name)


def _figure(part: Object) -> float | None:
    for key in ("averageValue", "averageUtilization", "value"):
        if part.get(key) is not None:
            parsed = parse_quantity(str(part[key]))
            return float(parsed) if parsed is not None else None
    return None


def _reason(by: Scaling, conditions: dict[str, Object]) -> str:
    """One sentence: what it compares, and what follows."""
    able, active, limited = (
        conditions.get(name, {}) for name in ("AbleToScale", "ScalingActive", "ScalingLimited")
    )
    if able.get("status") == "False":
        return f"it cannot scale: {able.get('message', '')}"
    if by.now == 0 and active.get("reason") == "ScalingDisabled":
        return "it is off: the fleet was scaled to 0"
    ratios = [(one.value / one.target, one) for one in by.metrics if one.value is not None and one.target]
    if not ratios:
        said = active.get("message", "")
        return f"no figure reaches it{f': {said}' if said else ' yet'}"
    ratio, most = max(ratios, key=lambda pair: pair[0])
    head = f"{most.metric} is {most.value:g} a replica, {most.target:g} wanted: "
    if limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas":
        return f"{head}more than its maximum of {by.high} would be needed"
    if by.wanted > by.now:
        return f"{head}it goes from {by.now} to {by.wanted}"
    if by.wanted < by.now:
        return f"{head}it goes from {by.now} down to {by.wanted}"
    if abs(ratio - 1) <= TOLERANCE + 1e-9:
        return f"{head}within 10 %, it keeps {by.now}"
    if ratio > 1:
        return f"{head}it keeps {by.now} for now; replicas that do not serve yet count as idle"
    if able.get("reason") == "ScaleDownStabilized":
        return f"{head}fewer would do, and it waits out the stabilization window"
    if by.now <= by.low:
        return f"{head}it keeps its minimum of {by.low}"
    return f"{head}it keeps {by.now}"
