"""Rules over objects and how they belong together: monitoring, scaling, claims, Services, copies of a
value."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from stoker.advise.lint.names import series
from stoker.advise.lint.reading import Manifest
from stoker.catalog import vllm
from stoker.findings import Finding

LWS = "leaderworkerset.sigs.k8s.io"
WORKLOADS = ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet", "LeaderWorkerSet", "Job", "Pod")
SCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject", "AutoscalingMetric"})
_PLACEHOLDER = re.compile(
    r"(?<![A-Za-z0-9])_[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?![A-Za-z0-9])|\$\{[A-Za-z_][A-Za-z0-9_]*\}"
    r"|<(?:your|my)[-_ ][^>]*>|(?i:REPLACE[_-]?ME)"
)
_METRIC = re.compile(r"(?<![\w/.:-])vllm:[a-z0-9_]+")  # and no image's name with its tag


def rules(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """All findings about one object."""
    yield from _placeholders(one)
    yield from _metrics(one)
    match one.kind:
        case "Service":
            yield from _service(one, everything)
        case "PodMonitoring" | "PodMonitor" | "ServiceMonitor":
            yield from _monitoring(one, everything)
        case "PersistentVolumeClaim" | "PersistentVolume":
            yield from _volume(one, everything)


def templates(one: Manifest) -> list[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """The pod templates of a workload, with their paths."""
    paths: dict[str, list[tuple[str | int, ...]]] = {
        "Pod": [()],
        "CronJob": [("spec", "jobTemplate", "spec", "template")],
        "LeaderWorkerSet": [
            ("spec", "leaderWorkerTemplate", "leaderTemplate"),
            ("spec", "leaderWorkerTemplate", "workerTemplate"),
        ],
    }
    wanted = paths.get(one.kind, [("spec", "template")] if one.kind in WORKLOADS else [])
    return [
        (path, found) for path in wanted if isinstance(found := one.get(*path), dict) and found.get("spec")
    ]


def _placeholders(one: Manifest) -> Iterator[Finding]:
    """A value that a sed was to fill in, and did not; scripts and their own variables are none."""
    for path, text in one.texts():
        scripts = {"command", "args", "data", "stringData"} & {str(part) for part in path}
        match = _PLACEHOLDER.search(text)
        if match and not (scripts and match[0].startswith("$")):
            yield one.finding("placeholder", path, text=match[0])


def twice(one: Manifest, firsts: dict[tuple[str, str | None, str], Manifest]) -> Iterator[Finding]:
    """An object that stands here already; `firsts` holds the first of each name, and takes this one."""
    first = firsts.setdefault((one.kind, one.namespace, one.name), one)
    if first is not one and one.name:
        yield one.finding("twice", ("metadata", "name"), first=first.at("metadata", "name"))


def _metrics(one: Manifest) -> Iterator[Finding]:
    """Metric names that today's vLLM does not have; a scaler's own are read with its workload's release."""
    if one.kind in SCALERS:
        return
    release = vllm.DEFAULT
    for path, text in one.texts():
        for name in dict.fromkeys(_METRIC.findall(text)):
            found = series(name, release)
            if found.change is not None:
                why, instead = found.change.why(release), found.change.fix or "a metric of its /metrics page"
                said = {"release": release, "metric": name, "why": why, "instead": instead}
                yield one.finding("metric", path, "gone", **said)
            elif found.verdict in ("unlisted", "counter"):  # a counter's series end in _total
                yield one.finding("metric", path, "unlisted", release=release, metric=name)


def _service(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    notes = one.get("metadata", "annotations", default={})
    inside = (
        any("internal" in f"{k}{v}".lower() for k, v in notes.items()) if isinstance(notes, dict) else False
    )
    if one.get("spec", "type") == "LoadBalancer" and not inside:
        yield one.finding("public", ("spec", "type"))
    selector = one.get("spec", "selector", default={})
    pods = [
        labels
        for other in everything
        if other.kind != one.kind and _same_space(one, other)
        for labels in _labels(other)
    ]
    if (
        isinstance(selector, dict)
        and selector
        and pods
        and not any(selector.items() <= labels.items() for labels in pods)
    ):
        yield one.finding("service-selector", ("spec", "selector"), labels=_words(selector))


def _labels(one: Manifest) -> list[dict[str, Any]]:
    """The labels of its pods: those of the templates, and those that a LeaderWorkerSet adds."""
    out = []
    for path, found in templates(one):
        labels = dict((found.get("metadata") or {}).get("labels") or {})
        if one.kind == "LeaderWorkerSet":
            labels[f"{LWS}/name"] = one.name
            if "leaderTemplate" in path:
                labels[f"{LWS}/worker-index"] = "0"
        out.append(labels)
    return out


def _same_space(one: Manifest, other: Manifest) -> bool:
    return (one.namespace or "") == (other.namespace or "")


def _words(selector: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in selector.items())


def _monitoring(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """It selects pods of its own namespace alone."""
    selector = one.get("spec", "selector", "matchLabels", default={})
    if not isinstance(selector, dict) or not selector:
        return
    owners = [w for w in everything if any(selector.items() <= labels.items() for labels in _labels(w))]
    if not owners and any(_labels(w) for w in everything):
        yield one.finding("monitoring-selector", ("spec", "selector"), labels=_words(selector))
    elsewhere = sorted({w.namespace for w in owners if w.namespace and w.namespace != one.namespace})
    if elsewhere and not one.get("spec", "namespaceSelector"):
        here = one.namespace or "whatever namespace is current"
        yield one.finding("monitoring-namespace", ("metadata",), here=here, there=elsewhere[0])


def _volume(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """A claim that several nodes are to read must say so."""
    modes = one.get("spec", "accessModes", default=[])
    if modes != ["ReadWriteOnce"]:
        return
    if one.kind == "PersistentVolume":
        if (
            one.get("spec", "csi", "readOnly") is True
            or one.get("spec", "gcePersistentDisk", "readOnly") is True
        ):
            yield one.finding("volume-mode", ("spec", "accessModes"), "volume")
        return
    for user in everything:
        if user.kind not in ("Deployment", "LeaderWorkerSet") or not _same_space(one, user):
            continue
        for path, template in templates(user):
            for index, volume in enumerate(template["spec"].get("volumes") or ()):
                claim = volume.get("persistentVolumeClaim", {}) if isinstance(volume, dict) else {}
                if claim.get("claimName") == one.name and _many(user, everything):
                    at, place = (*path, "spec", "volumes", index), one.at("spec", "accessModes")
                    yield user.finding("volume-mode", at, "claim", claim=one.name, place=place)


def _many(user: Manifest, everything: Sequence[Manifest]) -> bool:
    scaled = any(
        other.kind in ("HorizontalPodAutoscaler", "ScaledObject")
        and other.get("spec", "scaleTargetRef", "name") == user.name
        for other in everything
    )
    return scaled or int(user.get("spec", "replicas", default=1)) > 1 or user.kind == "LeaderWorkerSet"
