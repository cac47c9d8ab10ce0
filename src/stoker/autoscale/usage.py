"""How many replicas the figures of pods ask for.

The controller's arithmetic: whole thousandths, a mean that is cut, floats only for the ratio.
Source: pkg/controller/podautoscaler/replica_calculator.go, Kubernetes 1.36.
"""

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from stoker.autoscale.policy import Controller, Metric
from stoker.autoscale.quantity import wrapped
from stoker.autoscale.seen import Pod, Reading, Scale

MOST = 2**31 - 1  # of an int32
NO_PODS = "no pods returned by selector while calculating replica count"
NO_FIGURES = "did not receive metrics for targeted pods (pods might be unready)"


@dataclass(frozen=True, slots=True)
class Proposal:
    """What one metric asks for.

    count: replicas; current: the figure that is compared, in thousandths (of a Utilization in percent, with
    `raw` beside it); ratio: of figure and target before pods without a figure were counted, and `again`
    after; counted, missing, unready: pods with a figure, without one, and not started. kept: why the number
    stays.
    """

    count: int
    current: int
    ratio: float
    again: float
    counted: int = 0
    missing: int = 0
    unready: int = 0
    kept: str = ""
    raw: int = 0


class Unable(Exception):
    """No number can be computed from this metric. Its text is the controller's."""


def replicas(number: float) -> int:
    """A number of replicas, rounded up, within what the API's field holds."""
    if math.isnan(number) or not -MOST - 1 <= math.ceil(min(number, 2.0**40)) <= MOST:
        return -MOST - 1  # as amd64 converts what does not fit: less than any minimum
    return math.ceil(number)


def capped(number: float) -> int:
    """The same where Kubernetes 1.36 takes care of what is too much."""
    return MOST if number > MOST else replicas(number)


def over(part: float, whole: float) -> float:
    """A division as floats do it: by zero it is infinite, or nothing."""
    if whole:
        return part / whole
    return math.nan if not part else math.copysign(math.inf, part)


def cut(total: int, count: int) -> int:
    """A whole division towards zero."""
    return total // count if total >= 0 else -(-total // count)


def within(ratio: float, tolerances: tuple[float, float]) -> bool:
    """Whether a ratio is near enough to one. tolerances: upwards, downwards."""
    return 1.0 - tolerances[1] <= ratio <= 1.0 + tolerances[0]


def of_pods(
    metric: Metric, values: Mapping[str, int], scale: Scale, tolerances: tuple[float, float]
) -> Proposal:
    """The mean of the pods' figures against the target. Raises: Unable."""
    if not scale.pods:
        raise Unable(NO_PODS)
    return _plain(metric, values, scale, tolerances, _grouped(scale.pods, values))


Grouped = tuple[int, list[str], list[str], list[str]]


def _grouped(pods: Iterable[Pod], values: Mapping[str, int], early: Container[str] = ()) -> Grouped:
    """How many pods are heard; the names of those that have not started or are too early to be heard, that
    tell nothing, and that are on their way out."""
    ready = 0
    unready, missing, gone = [], [], []
    for pod in pods:
        if pod.deleting or pod.phase == "Failed":  # one that succeeded is heard until Kubernetes 1.37
            gone.append(pod.name)
        elif pod.phase == "Pending" or pod.name in early:
            unready.append(pod.name)
        elif pod.name in values:
            ready += 1
        else:
            missing.append(pod.name)
    return ready, unready, missing, gone


def _plain(
    metric: Metric,
    values: Mapping[str, int],
    scale: Scale,
    tolerances: tuple[float, float],
    grouped: Grouped,
) -> Proposal:
    ready, unready, missing, gone = grouped
    left = [values[name] for name in gone if name in values]
    left += [values[name] for name in unready if name in values]
    count, total = len(values) - len(left), wrapped(sum(values.values()) - sum(left))
    if not count:
        raise Unable(NO_FIGURES)
    current = cut(total, count)
    ratio = over(current, metric.target)
    up_with_unready = bool(unready) and ratio > 1.0
    if not up_with_unready and not missing:
        if within(ratio, tolerances):
            return Proposal(scale.wanted, current, ratio, ratio, count, kept="tolerance")
        return Proposal(replicas(ratio * ready), current, ratio, ratio, count, 0, len(unready))
    if missing and ratio < 1.0:
        total, count = wrapped(total + metric.target * len(missing)), count + len(missing)
    elif missing and ratio > 1.0:
        count += len(missing)
    if up_with_unready:
        count += len(unready)
    again = over(cut(total, count), metric.target)
    wanted, kept = _again(ratio, again, count, scale.wanted, tolerances)
    counted = len(values) - len(left)
    return Proposal(wanted, current, ratio, again, counted, len(missing), len(unready), kept)


def _again(
    ratio: float, again: float, count: int, now: int, tolerances: tuple[float, float]
) -> tuple[int, str]:
    """The number after pods without a figure were counted, and why it stays where it does."""
    if within(again, tolerances):
        return now, "tolerance"
    if (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return now, "direction"
    wanted = replicas(again * count)
    if (again < 1.0 and wanted > now) or (again > 1.0 and wanted < now):
        return now, "direction"
    return wanted, ""


def of_resource(
    metric: Metric,
    readings: Mapping[str, Reading],
    scale: Scale,
    tolerances: tuple[float, float],
    controller: Controller,
    now: float,
) -> Proposal:
    """The same of CPU or memory, where CPU of pods that are not ready, or not yet, is not heard. Raises:
    Unable."""
    if not scale.pods:
        raise Unable(NO_PODS)
    values = {name: one.value for name, one in readings.items()}
    early = {
        pod.name
        for pod in scale.pods
        if metric.name == "cpu"
        and (reading := readings.get(pod.name)) is not None
        and _not_ready(pod, reading, controller, now)
    }
    grouped = _grouped(scale.pods, values, early)
    if metric.target_kind == "Utilization":
        return _utilization(metric, values, scale, tolerances, grouped)
    return _plain(metric, values, scale, tolerances, grouped)


def _not_ready(pod: Pod, reading: Reading, controller: Controller, now: float) -> bool:
    """Whether the CPU of a pod is not yet that of serving."""
    since = pod.ready_since
    if pod.ready is None or pod.started is None or since is None:
        return True
    if pod.started + controller.cpu_initialization > now:
        return not pod.ready or reading.at < since + reading.window
    return not pod.ready and pod.started + controller.readiness_delay > since


def _utilization(
    metric: Metric,
    values: Mapping[str, int],
    scale: Scale,
    tolerances: tuple[float, float],
    grouped: Grouped,
) -> Proposal:
    """The share of what pods request, in whole percent. Raises: Unable."""
    ready, unready, missing, gone = grouped
    kept = {name: value for name, value in values.items() if name not in gone and name not in unready}
    if not kept:
        raise Unable(NO_FIGURES)
    requests = _requests(metric, scale.pods)
    ratio, percent, raw = _share(kept, requests, metric.target)
    counted = len(kept)
    up_with_unready = bool(unready) and ratio > 1.0
    if not up_with_unready and not missing:
        if within(ratio, tolerances):
            return Proposal(scale.wanted, percent, ratio, ratio, counted, kept="tolerance", raw=raw)
        return Proposal(replicas(ratio * ready), percent, ratio, ratio, counted, 0, len(unready), raw=raw)
    if missing and ratio < 1.0:
        most = max(100, metric.target)
        kept |= {name: cut(requests[name] * most, 100) for name in missing}
    elif missing and ratio > 1.0:
        kept |= dict.fromkeys(missing, 0)
    if up_with_unready:
        kept |= dict.fromkeys(unready, 0)
    again = _share(kept, requests, metric.target)[0]
    wanted, why = _again(ratio, again, len(kept), scale.wanted, tolerances)
    return Proposal(wanted, percent, ratio, again, counted, len(missing), len(unready), why, raw)


def _share(values: Mapping[str, int], requests: Mapping[str, int], target: int) -> tuple[float, int, int]:
    """Ratio, percent and mean of the pods that are known to request something. Raises: Unable."""
    known = [(value, requests[name]) for name, value in values.items() if name in requests]
    asked = sum(request for _, request in known)
    if not asked:
        raise Unable("no metrics returned matched known pods")
    total = sum(value for value, _ in known)
    percent = cut(total * 100, asked)
    return percent / target, percent, cut(total, len(known))


def _requests(metric: Metric, pods: Iterable[Pod]) -> dict[str, int]:
    """What each pod requests. Raises: Unable, where one does not say."""
    return {pod.name: _request(metric, pod) for pod in pods}


def _request(metric: Metric, pod: Pod) -> int:
    if not metric.container and pod.levels:
        if metric.name not in pod.levels:
            raise Unable(f"missing pod-level request for {metric.name} in Pod {pod.name}")
        return pod.levels[metric.name]
    asked = 0
    for name, request in pod.requests.items():
        if metric.container in ("", name):
            if metric.name not in request:
                raise Unable(f"missing request for {metric.name} in container {name} of Pod {pod.name}")
            asked += request[metric.name]
        if metric.container == name:
            return asked
    if metric.container:
        raise Unable(f"container {metric.container} not found in Pod {pod.name}")
    return asked
