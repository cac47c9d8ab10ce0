"""The five kinds of metrics: what each asks for, how the status shows it, what its failure is called."""

from dataclasses import dataclass
from typing import Any

from benchmarks.hpa_oracle import counts, fetching, pods, releases
from benchmarks.hpa_oracle.counts import Asked
from benchmarks.hpa_oracle.errors import MetricError
from benchmarks.hpa_oracle.quantities import milli_value, write_milli, write_milli_bytes

REASONS = {
    "Pods": "FailedGetPodsMetric",
    "Object": "FailedGetObjectMetric",
    "External": "FailedGetExternalMetric",
    "Resource": "FailedGetResourceMetric",
    "ContainerResource": "FailedGetContainerResourceMetric",
}
FIELDS = {
    "Pods": "pods",
    "Object": "object",
    "External": "external",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


@dataclass(frozen=True)
class Proposal:
    """What a metric asks for: replicas, its name in words, and its entry in `currentMetrics`."""

    replicas: int
    name: str
    status: dict[str, Any]


def propose(metric: dict[str, Any], figures: dict[str, Any], asked: Asked, namespace: str) -> Proposal:
    """One metric's answer. Raises: MetricError."""
    kind = metric["type"]
    source = metric[FIELDS[kind]]
    if kind == "Pods":
        return _pods(source, figures, asked)
    if kind == "Object":
        return _object(source, figures, asked, namespace)
    if kind == "External":
        return _external(source, figures, asked, namespace)
    return _resource(kind, source, figures, asked)


def _shown(kind: str, identity: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, FIELDS[kind]: identity | {"current": current}}


def _pods(source: dict[str, Any], figures: dict[str, Any], asked: Asked) -> Proposal:
    name = source["metric"]["name"]
    try:
        samples = fetching.of_pods(figures, name, "custom")
    except MetricError as error:
        raise MetricError(f"unable to get metric {name}: {error}") from None
    target = milli_value(source["target"]["averageValue"])
    replicas, usage = counts.by_average(asked, samples, target, "")
    status = _shown("Pods", {"metric": source["metric"]}, {"averageValue": write_milli(usage)})
    return Proposal(replicas, f"pods metric {name}", status)


def _object(source: dict[str, Any], figures: dict[str, Any], asked: Asked, namespace: str) -> Proposal:
    name, described, target = source["metric"]["name"], source["describedObject"], source["target"]
    identity = {"metric": source["metric"], "describedObject": described}
    try:
        usage = fetching.of_object(figures, name)
    except MetricError as error:
        text = releases.object_error(name, described["kind"], namespace, described["name"], str(error))
        raise MetricError(text) from None
    if target["type"] == "Value":
        replicas = counts.by_value(asked, usage, milli_value(target["value"]))
        words = f"{described['kind']} metric {name}"
        return Proposal(replicas, words, _shown("Object", identity, {"value": write_milli(usage)}))
    wanted = milli_value(target["averageValue"])
    replicas, each = counts.by_average_of_total(asked, usage, wanted, capped=False)
    words = f"external metric {name}({selector_in_words(source['metric'])})"
    return Proposal(replicas, words, _shown("Object", identity, {"averageValue": write_milli(each)}))


def _external(source: dict[str, Any], figures: dict[str, Any], asked: Asked, namespace: str) -> Proposal:
    name, target = source["metric"]["name"], source["target"]
    selector = selector_in_words(source["metric"])
    try:
        values = fetching.external(figures, name)
    except MetricError as error:
        text = f"unable to get external metric {namespace}/{name}/{selector}: {error}"
        raise MetricError(text) from None
    if target.get("averageValue") is not None:
        wanted = milli_value(target["averageValue"])
        usage = counts.total_of_average(values)
        replicas, each = counts.by_average_of_total(asked, usage, wanted, capped=True)
        current = {"averageValue": write_milli(each)}
    else:
        usage = counts.total(values)
        replicas = counts.by_value(asked, usage, milli_value(target["value"]))
        current = {"value": write_milli(usage)}
    words = f"external metric {name}({selector})"
    return Proposal(replicas, words, _shown("External", {"metric": source["metric"]}, current))


def _resource(kind: str, source: dict[str, Any], figures: dict[str, Any], asked: Asked) -> Proposal:
    resource, container, target = source["name"], source.get("container", ""), source["target"]
    wanted, percent = target.get("averageValue"), target.get("averageUtilization")
    what = "usage" if wanted is not None else "utilization"
    try:
        samples = _resource_samples(figures, resource, container)
        if wanted is not None:
            replicas, usage = counts.by_average(asked, samples, milli_value(wanted), resource)
            current: dict[str, Any] = {"averageValue": _amount(resource, usage)}
        else:
            replicas, found, usage = counts.by_utilization(
                asked, samples, percent, resource, lambda: pods.requests(asked.pods, container, resource)
            )
            current = {"averageUtilization": found, "averageValue": _amount(resource, usage)}
    except MetricError as error:
        raise MetricError(f"failed to get {resource} {what}: {error}") from None
    identity = {"name": resource} | ({"container": container} if container else {})
    words = f"{resource} resource"
    if wanted is None:
        words = f"{resource} {'container ' if container else ''}resource utilization (percentage of request)"
    return Proposal(replicas, words, _shown(kind, identity, current))


def _resource_samples(figures: dict[str, Any], resource: str, container: str) -> counts.Samples:
    try:
        return fetching.of_pods(figures, resource, "resource", container)
    except MetricError as error:
        raise MetricError(f"unable to get metrics for resource {resource}: {error}") from None


def _amount(resource: str, usage: int) -> str:
    return write_milli_bytes(usage) if resource == "memory" else write_milli(usage)


def selector_in_words(metric: dict[str, Any]) -> str:
    """A metric's selector as Go prints it; "nil" where it has none."""
    selector = metric.get("selector")
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted(selector.get("matchLabels", {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values', []))}],}},"
        for one in selector.get("matchExpressions", [])
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
