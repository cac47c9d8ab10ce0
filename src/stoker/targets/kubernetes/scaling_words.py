"""What an HPA does and why, in one sentence: its own conditions, read with its spec and its figures.

A condition may be older than the figures: while one is missing the controller computes nothing, and
ScalingLimited and the number it wanted stay as they were. Source: pkg/controller/podautoscaler/horizontal.go,
Kubernetes 1.30 to 1.36.
"""

import math
from typing import Any

from lightkube.utils.quantity import parse_quantity

from stoker.fleet.state import ScaledBy, Scaling
from stoker.render.manifests.scaling import TOLERANCE

Object = dict[str, Any]
UNABLE = "the HPA was unable to compute the replica count: "
ROUNDING = 1e-9


def reason(by: Scaling, spec: Object, conditions: dict[str, Object]) -> str:
    """What it compares, and what follows."""
    able, active = conditions.get("AbleToScale", {}), conditions.get("ScalingActive", {})
    if able.get("status") == "False":
        return f"it cannot scale: {able.get('message', '')}"
    if active.get("status") == "False":
        return _off(by, spec, active)
    if by.wanted != by.now and not by.low <= by.now <= by.high:
        edge = f"under its minimum of {by.low}" if by.now < by.low else f"over its maximum of {by.high}"
        return f"{by.now} is {edge}: it goes to {by.wanted}"
    found = [
        (one.value / one.target, one, number)
        for number, one in enumerate(by.metrics)
        if one.value is not None and one.target
    ]
    if not found:
        return "no figure reaches it yet"
    ratio, most, number = max(found, key=lambda one: one[0])
    each = "" if _target(spec, number).get("type", "AverageValue") == "Value" else " a replica"
    lost = [one.metric for one in by.metrics if one.value is None]
    beside = f" (no figure of {', '.join(lost)} reaches it)" if lost else ""
    head = f"{most.metric} is {most.value:g}{each}, {most.target:g} wanted{beside}: "
    return head + _follows(by, ratio, spec, conditions)


def _off(by: Scaling, spec: Object, active: Object) -> str:
    """Why it computes nothing. One metric that is missing is enough, unless the others ask for more
    replicas."""
    why, said = str(active.get("reason", "")), str(active.get("message", "")).removeprefix(UNABLE)
    if why == "ScalingDisabled":
        return "it is off: the fleet was scaled to 0"
    if not why.startswith("FailedGet"):
        return f"it is off: {said or why}"
    if len(by.metrics) < 2:
        return f"no figure reaches it{f': {said}' if said else ''}"
    lost = [
        one.metric for number, one in enumerate(by.metrics) if one.value is None or _raw(spec, number) in said
    ]
    others = [one for number, one in enumerate(by.metrics) if one.metric not in lost]
    if not others:
        return f"no figure reaches it, it keeps {by.now}: {said}"
    told = ", ".join(f"{one.metric} is {_known(one)}" for one in others)
    return (
        f"no figure of {', '.join(lost)} reaches it, so it keeps {by.now} ({told}; with one missing it "
        f"only goes up): {said}"
    )


def _known(one: ScaledBy) -> str:
    target = f" of {one.target:g}" if one.target is not None else ""
    return f"{one.value:g}{target}"


def _follows(by: Scaling, ratio: float, spec: Object, conditions: dict[str, Object]) -> str:
    limited = conditions.get("ScalingLimited", {})
    limit = str(limited.get("reason", "")) if limited.get("status") == "True" else ""
    if by.wanted > by.now:
        more = {
            "ScaleUpLimit": ", as fast as its rate lets it: more would be needed",
            "TooManyReplicas": ", its maximum: more would be needed",
        }
        beside = more.get(limit, ", as recent figures asked for" if ratio < 1 else "")
        return f"it goes from {by.now} to {by.wanted}{beside}"
    if by.wanted < by.now:
        less = {
            "ScaleDownLimit": ", as fast as its rate lets it: fewer would do",
            "TooFewReplicas": ", its minimum",
        }
        beside = less.get(limit, ", as only replicas that run are counted" if ratio > 1 else "")
        return f"it goes from {by.now} down to {by.wanted}{beside}"
    held = str(conditions.get("AbleToScale", {}).get("reason", ""))
    up, down = _tolerance(spec, "scaleUp"), _tolerance(spec, "scaleDown")
    if 1 - down - ROUNDING <= ratio <= 1 + up + ROUNDING:
        return f"within {(up if ratio >= 1 else down) * 100:g} %, it keeps {by.now}"
    return _too_few(by, held, limit, spec) if ratio > 1 else _too_many(by, ratio, held, limit, spec)


def _too_few(by: Scaling, held: str, limit: str, spec: Object) -> str:
    """More would be needed, and there are none."""
    if held == "ScaleUpStabilized":
        return f"more would be needed, and it waits out the scale-up window{_window(spec, 'scaleUp')}"
    if limit == "TooManyReplicas":
        return f"more than its maximum of {by.high} would be needed"
    if limit == "ScaleUpLimit" or _disabled(spec, "scaleUp"):
        return _rate(by, spec, "scaleUp", "more would be needed", "added")
    return f"it keeps {by.now} for now; replicas that do not serve yet count as idle"


def _too_many(by: Scaling, ratio: float, held: str, limit: str, spec: Object) -> str:
    """Fewer would do, and there are as many as before."""
    if held == "ScaleDownStabilized":
        return f"fewer would do, and it waits out the stabilization window{_window(spec, 'scaleDown')}"
    if limit == "TooFewReplicas" or by.now <= by.low:
        return f"it keeps its minimum of {by.low}"
    if limit == "ScaleDownLimit" or _disabled(spec, "scaleDown"):
        return _rate(by, spec, "scaleDown", "fewer would do", "taken away")
    if math.ceil(ratio * by.now - ROUNDING) >= by.now:
        return f"it keeps {by.now}: {by.now - 1} would be too few"
    return f"it keeps {by.now} for now; replicas without a figure count as if they were at the target"


def _rate(by: Scaling, spec: Object, way: str, what: str, did: str) -> str:
    if _disabled(spec, way):
        return f"{what}, and its {way} is Disabled: it keeps {by.now}"
    return f"{what}, and it has {did} as many as its rate lets it for now: it keeps {by.now}"


def _behavior(spec: Object, way: str) -> Object:
    found: Object = (spec.get("behavior") or {}).get(way) or {}
    return found


def _disabled(spec: Object, way: str) -> bool:
    return _behavior(spec, way).get("selectPolicy") == "Disabled"


def _window(spec: Object, way: str) -> str:
    seconds = _behavior(spec, way).get("stabilizationWindowSeconds")
    return f" of {seconds} s" if seconds else ""


def _tolerance(spec: Object, way: str) -> float:
    """Its own, where it has one, else the controller's default."""
    own = _behavior(spec, way).get("tolerance")
    found = parse_quantity(str(own)) if own is not None else None
    return float(found) if found is not None else TOLERANCE


def _part(spec: Object, number: int) -> Object:
    one = spec["metrics"][number]
    found: Object = one.get(one["type"][0].lower() + one["type"][1:]) or {}
    return found


def _target(spec: Object, number: int) -> Object:
    found: Object = _part(spec, number).get("target") or {}
    return found


def _raw(spec: Object, number: int) -> str:
    """The metric's name as the controller writes it."""
    part = _part(spec, number)
    return str(part.get("metric", {}).get("name") or part.get("name", ""))
