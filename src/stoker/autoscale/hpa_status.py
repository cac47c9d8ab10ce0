"""An HPA's `status` as the controller writes it after a decision."""

from typing import Any

from stoker.autoscale.hpa import Decision
from stoker.autoscale.policy import Metric, Policy
from stoker.autoscale.quantity import written
from stoker.autoscale.usage import Proposal

_PARTS = {"Pods": "pods", "External": "external", "Object": "object", "Resource": "resource"}


def current_metrics(policy: Policy, decision: Decision) -> list[dict[str, Any]] | None:
    """`currentMetrics`: the figures that were compared; None where none were looked at."""
    if decision.proposals is None or not decision.proposals.each:
        return None
    pairs = zip(policy.metrics, decision.proposals.each, strict=True)
    return [{"type": ""} if one is None else _metric(metric, one) for metric, one in pairs]


def conditions(decision: Decision) -> list[dict[str, str]]:
    """`conditions`, without their times."""
    return [
        {"type": one.type, "status": str(one.status), "reason": one.reason, "message": one.message}
        for one in (found.said for found in decision.conditions)
    ]


def _metric(metric: Metric, one: Proposal) -> dict[str, Any]:
    current = _current(metric, one)
    if metric.kind == "Resource":
        return {"type": metric.kind, "resource": {"name": metric.name, "current": current}}
    if metric.kind == "ContainerResource":
        part = {"name": metric.name, "container": metric.container, "current": current}
        return {"type": metric.kind, "containerResource": part}
    found: dict[str, Any] = {"metric": {"name": metric.name}, "current": current}
    if metric.kind == "Object":
        found["describedObject"] = {"kind": metric.about[0], "name": metric.about[1]}
    return {"type": metric.kind, _PARTS[metric.kind]: found}


def _current(metric: Metric, one: Proposal) -> dict[str, Any]:
    binary = metric.name == "memory" and metric.kind in ("Resource", "ContainerResource")
    if metric.target_kind == "Utilization":
        return {"averageUtilization": one.current, "averageValue": written(one.raw, binary)}
    key = "value" if metric.target_kind == "Value" else "averageValue"
    return {key: written(one.current, binary)}
