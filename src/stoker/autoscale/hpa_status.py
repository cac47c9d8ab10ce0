"""An HPA's `status` as the controller writes it after a decision."""

from collections.abc import Mapping, Sequence
from typing import Any

from stoker.autoscale.hpa import Decision
from stoker.autoscale.quantity import written
from stoker.autoscale.usage import Proposal

_PARTS = {
    "Pods": "pods",
    "External": "external",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_NAMES = ("name", "container", "metric", "describedObject")


def current_metrics(metrics: Sequence[Mapping[str, Any]], decision: Decision) -> list[dict[str, Any]] | None:
    """`currentMetrics`: the figures that were compared; None where none were looked at.

    metrics: of the HPA's spec.
    """
    if decision.proposals is None or not decision.proposals.each:
        return None
    pairs = zip(metrics, decision.proposals.each, strict=True)
    return [{"type": ""} if one is None else _metric(metric, one) for metric, one in pairs]


def conditions(decision: Decision) -> list[dict[str, str]]:
    """`conditions`, without their times."""
    return [
        {"type": one.type, "status": str(one.status), "reason": one.reason, "message": one.message}
        for one in (found.said for found in decision.conditions)
    ]


def _metric(metric: Mapping[str, Any], one: Proposal) -> dict[str, Any]:
    kind = metric["type"]
    part = metric[_PARTS[kind]]
    found = {key: part[key] for key in _NAMES if key in part}
    return {"type": kind, _PARTS[kind]: found | {"current": _current(part, one)}}


def _current(part: Mapping[str, Any], one: Proposal) -> dict[str, Any]:
    """In the unit of the target. Memory is written in powers of 1024."""
    target, binary = part["target"], part.get("name") == "memory"
    if target.get("averageUtilization") is not None and target.get("averageValue") is None:
        return {"averageUtilization": one.current, "averageValue": written(one.raw, binary)}
    key = "averageValue" if target.get("averageValue") is not None else "value"
    return {key: written(one.current, binary)}
