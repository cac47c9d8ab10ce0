"""Pods as the controller sorts them, and what they request."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.hpa_oracle.errors import MetricError
from benchmarks.hpa_oracle.golang import clock, int64
from benchmarks.hpa_oracle.quantities import milli_value
from benchmarks.hpa_oracle.releases import IGNORED_PHASES

NO_PODS = "no pods returned by selector while calculating replica count"


@dataclass(frozen=True)
class Sample:
    """What one pod reported: thousandths, when (microseconds) and over what window (microseconds)."""

    value: int
    at: int = 0
    window: int = 60_000_000


@dataclass(frozen=True)
class Moment:
    """When a reconcile looks at CPU's samples, and the two flags that say which of them it believes
    (microseconds)."""

    now: int
    initialization: int
    readiness_delay: int


@dataclass
class Groups:
    """Names of pods by what becomes of them, and how many count as serving."""

    ready: int = 0
    unready: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)


def grouped(pods: list[dict[str, Any]], samples: dict[str, Sample], resource: str, moment: Moment) -> Groups:
    """Deleted and failed pods are left out, pending ones wait, others lack the metric or count; whether they
    are ready is asked for CPU alone."""
    groups = Groups()
    for pod in pods:
        name = pod["name"]
        if pod.get("deleting") or pod["phase"] in IGNORED_PHASES:
            groups.ignored.add(name)
        elif pod["phase"] == "Pending":
            groups.unready.add(name)
        elif name not in samples:
            groups.missing.add(name)
        elif resource == "cpu" and cold(pod, samples[name], moment):
            groups.unready.add(name)
        else:
            groups.ready += 1
    return groups


def cold(pod: dict[str, Any], sample: Sample, moment: Moment) -> bool:
    """Whether a pod's CPU says nothing yet.

    While it starts (the initialization period since its start): where it is not ready, or its sample began
    before it last became so. Later: where it is not ready and never was, which is told by a Ready condition
    that has not changed since shortly after the start. Without start or condition: always.
    """
    start, changed = pod.get("start_time"), pod.get("ready_since")
    if start is None or changed is None:
        return True
    if clock(start) + moment.initialization > moment.now:
        return not pod["ready"] or sample.at < clock(changed) + sample.window
    return not pod["ready"] and clock(start) + moment.readiness_delay > clock(changed)


def ready_count(pods: list[dict[str, Any]]) -> int:
    """Pods that run and are ready, those that are being deleted included. Raises: MetricError, if there are
    no pods."""
    if not pods:
        raise MetricError(f"unable to calculate ready pods: {NO_PODS}")
    return sum(pod["phase"] == "Running" and bool(pod["ready"]) for pod in pods)


def requests(pods: list[dict[str, Any]], container: str, resource: str) -> dict[str, int]:
    """What each pod requests, in thousandths: of one container, or of all ("").

    Raises: MetricError, if a container requests none of it or is not there, in whatever pod.
    """
    return {pod["name"]: _request(pod, container, resource) for pod in pods}


def _request(pod: dict[str, Any], container: str, resource: str) -> int:
    total = 0
    for name, asked in pod.get("requests", {}).items():
        if container in ("", name):
            if resource not in asked:
                raise MetricError(f"missing request for {resource} in container {name} of Pod {pod['name']}")
            total = int64(total + milli_value(asked[resource]))
        if container == name:
            return total
    if container:
        raise MetricError(f"container {container} not found in Pod {pod['name']}")
    return total
