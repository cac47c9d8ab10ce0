"""Replica counts out of figures: how many replicas one metric asks for, and the figure that the status shows.

All usage is in thousandths; targets too, but for utilization, which is in percent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.hpa_oracle.errors import MetricError
from benchmarks.hpa_oracle.golang import (
    MAX_INT32,
    MAX_INT64,
    ceiling,
    divided,
    float_to_int32,
    float_to_int64,
    int32,
    int64,
    quotient,
)
from benchmarks.hpa_oracle.pods import NO_PODS, Groups, Moment, Sample, grouped, ready_count

Samples = dict[str, Sample]


@dataclass(frozen=True)
class Tolerances:
    """How far below and above 1 a ratio may be without a change."""

    down: float
    up: float

    def hold(self, ratio: float) -> bool:
        """Whether a ratio asks for no change, both edges included."""
        return (1.0 - self.down) <= ratio <= (1.0 + self.up)


@dataclass(frozen=True)
class Asked:
    """What is known when a metric is judged."""

    spec: int
    status: int
    pods: list[dict[str, Any]]
    tolerances: Tolerances
    moment: Moment


def average(samples: Samples) -> int:
    """The mean, cut to a whole number towards zero."""
    return quotient(int64(sum(sample.value for sample in samples.values())), len(samples))


def by_average(asked: Asked, samples: Samples, target: int, resource: str) -> tuple[int, int]:
    """Replicas and the mean usage, where every pod has a figure of its own and a target of its own."""
    serving, groups = _serving(asked, samples, resource)
    usage = average(serving)
    ratio = divided(float(usage), float(target))

    def again(filled: Samples) -> float:
        return divided(float(average(filled)), float(target))

    return _by_ratio(asked, groups, serving, ratio, lambda pod: target, again), usage


def by_utilization(
    asked: Asked, samples: Samples, target: int, resource: str, requested: Callable[[], dict[str, int]]
) -> tuple[int, int, int]:
    """Replicas, percent of what is requested, and the mean usage."""
    serving, groups = _serving(asked, samples, resource)
    requests = requested()
    percent, usage = utilization(serving, requests)
    ratio = divided(float(percent), float(target))

    def again(filled: Samples) -> float:
        return divided(float(utilization(filled, requests)[0]), float(target))

    def full(pod: str) -> int:
        return quotient(int64(requests[pod] * max(100, target)), 100)

    return _by_ratio(asked, groups, serving, ratio, full, again), percent, usage


def utilization(samples: Samples, requests: dict[str, int]) -> tuple[int, int]:
    """Percent of the requests, and the mean usage, both cut towards zero; samples of unknown pods are left
    out. Raises: MetricError, if nothing is requested."""
    known = [(sample.value, requests[pod]) for pod, sample in samples.items() if pod in requests]
    used, wanted = int64(sum(pair[0] for pair in known)), int64(sum(pair[1] for pair in known))
    if wanted == 0:
        raise MetricError("no metrics returned matched known pods")
    return int32(quotient(int64(used * 100), wanted)), quotient(used, len(known))


def _serving(asked: Asked, samples: Samples, resource: str) -> tuple[Samples, Groups]:
    if not asked.pods:
        raise MetricError(NO_PODS)
    groups = grouped(asked.pods, samples, resource, asked.moment)
    left_out = groups.ignored | groups.unready
    serving = {pod: sample for pod, sample in samples.items() if pod not in left_out}
    if not serving:
        raise MetricError("did not receive metrics for targeted pods (pods might be unready)")
    return serving, groups


def _by_ratio(
    asked: Asked,
    groups: Groups,
    serving: Samples,
    ratio: float,
    full: Callable[[str], int],
    again: Callable[[Samples], float],
) -> int:
    """The count for a ratio; where pods are missing or not ready, for the ratio with what is assumed of them,
    unless that ratio or its count points the other way."""
    fill_unready = bool(groups.unready) and ratio > 1.0
    if not fill_unready and not groups.missing:
        if asked.tolerances.hold(ratio):
            return asked.spec
        return float_to_int32(ceiling(ratio * float(groups.ready)))
    filled = dict(serving)
    for pod in groups.missing:
        if ratio < 1.0:
            filled[pod] = Sample(full(pod))
        elif ratio > 1.0:
            filled[pod] = Sample(0)
    if fill_unready:
        filled |= {pod: Sample(0) for pod in groups.unready}
    new = again(filled)
    turned = (ratio < 1.0 and new > 1.0) or (ratio > 1.0 and new < 1.0)
    if asked.tolerances.hold(new) or turned:
        return asked.spec
    replicas = float_to_int32(ceiling(new * float(len(filled))))
    against = (new < 1.0 and replicas > asked.spec) or (new > 1.0 and replicas < asked.spec)
    return asked.spec if against else replicas


def by_value(asked: Asked, usage: int, target: int) -> int:
    """Replicas for one figure against one target: the ratio times the pods that are ready; at 0 replicas the
    ratio alone, without tolerance. Raises: MetricError, if there are no pods to count."""
    ratio = divided(float(usage), float(target))
    if asked.spec == 0:
        return float_to_int32(ceiling(ratio))
    if asked.tolerances.hold(ratio):
        return asked.spec
    replicas = ratio * float(ready_count(asked.pods))
    return MAX_INT32 if replicas > MAX_INT32 else float_to_int32(ceiling(replicas))


def by_average_of_total(asked: Asked, usage: int, target: int, *, capped: bool) -> tuple[int, int]:
    """Replicas for a total against a target for each pod, and the total by pod; readiness is not asked.
    `capped`: External metrics, where what is too large for an integer is the largest."""
    replicas = asked.status
    ratio = divided(float(usage), float(target) * float(replicas))
    if not asked.tolerances.hold(ratio):
        wanted = ceiling(divided(float(usage), float(target)))
        replicas = MAX_INT32 if capped and wanted > MAX_INT32 else float_to_int32(wanted)
    if capped and float(usage) >= float(MAX_INT64):
        return replicas, MAX_INT64
    return replicas, float_to_int64(ceiling(divided(float(usage), float(asked.status))))


def total(values: list[int]) -> int:
    """A sum that stops at the largest integer (of External Value)."""
    usage = 0
    for value in values:
        if value > 0 and usage > MAX_INT64 - value:
            return MAX_INT64
        usage = int64(usage + value)
    return usage


def total_of_average(values: list[int]) -> int:
    """A sum that takes any negative number for an overflow: one below zero is the largest integer (of
    External AverageValue)."""
    usage = 0
    for value in values:
        usage = int64(usage + value)
        if usage < 0:
            return MAX_INT64
    return usage
