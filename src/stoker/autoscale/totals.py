"""How many replicas one figure over all pods asks for: metrics of kind External and Object.

Source: pkg/controller/podautoscaler/replica_calculator.go, Kubernetes 1.36.
"""

import math

from stoker.autoscale.policy import Metric
from stoker.autoscale.quantity import MOST, wrapped
from stoker.autoscale.seen import Scale
from stoker.autoscale.usage import NO_PODS, Proposal, Unable, capped, over, replicas, within

NONE_THERE = -MOST - 1  # what Kubernetes 1.36 shows of what no integer holds, as of a share among no replicas


def of_total(metric: Metric, total: int, scale: Scale, tolerances: tuple[float, float]) -> Proposal:
    """A total against a target for all (Value), or a share of it for each replica (AverageValue). Raises:
    Unable."""
    if metric.target_kind == "Value":
        return _value(metric, total, scale, tolerances)
    return _average(metric, total, scale, tolerances)


def summed(metric: Metric, series: tuple[int, ...]) -> int:
    """All series of an external metric together. A share for each replica takes what is below zero for an
    overflow, and so for the most there is."""
    total = 0
    for value in series:
        if metric.target_kind == "Value":
            if value > 0 and total > MOST - value:
                return MOST
            total = wrapped(total + value)
        elif (total := wrapped(total + value)) < 0:
            return MOST
    return total


def _value(metric: Metric, total: int, scale: Scale, tolerances: tuple[float, float]) -> Proposal:
    """As many times the pods that are ready as the total is of the target."""
    ratio = over(total, metric.target)
    if scale.wanted == 0:  # no tolerance on the way from zero
        return Proposal(replicas(ratio), total, ratio, ratio)
    if within(ratio, tolerances):
        return Proposal(scale.wanted, total, ratio, ratio, kept="tolerance")
    if not scale.pods:
        raise Unable(f"unable to calculate ready pods: {NO_PODS}")
    ready = sum(pod.phase == "Running" and pod.ready is True for pod in scale.pods)
    return Proposal(capped(ratio * ready), total, ratio, ratio, ready, unready=len(scale.pods) - ready)


def _each(metric: Metric, total: int, count: int) -> int:
    if total >= MOST and metric.kind == "External":
        return MOST
    each = math.ceil(float(total) / float(count)) if count else NONE_THERE
    return each if each <= MOST else NONE_THERE


def _average(metric: Metric, total: int, scale: Scale, tolerances: tuple[float, float]) -> Proposal:
    """So many that each has the target at most. Pods are not looked at: status.replicas is believed."""
    ratio = over(total, metric.target * scale.current)
    each = _each(metric, total, scale.current)
    if within(ratio, tolerances):
        return Proposal(scale.current, each, ratio, ratio, scale.current, kept="tolerance")
    wanted = capped if metric.kind == "External" else replicas
    return Proposal(wanted(over(total, metric.target)), each, ratio, ratio, scale.current)
