"""Rules over objects and how they belong together: monitoring, scaling, claims, Services, copies of a
value."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from stoker.advise.lint import watching
from stoker.advise.lint.kinds import labels_of, operated, pods, unread
from stoker.advise.lint.reading import Manifest
from stoker.advise.lint.values import listed, table
from stoker.findings import Finding

# What a program inside may fill in by itself.
_OWN = frozenset(
    {
        "command",
        "args",
        "data",
        "stringData",
        "env",
        "description",
        "annotations",
        "serveConfigV2",
        "metadata",
    }
)
_ASKED = re.compile(
    r"llm|gradio|chat|web-?ui|inference|openai|triton|tgi|gemma|llama|qwen|mistral|deepseek|model"
)
_FILLED = re.compile(r"(?:^|/)(?:templates?|terraform)/")
_PLACEHOLDER = re.compile(
    r"(?<![A-Za-z0-9])_[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*_(?![A-Za-z0-9])|\$\{[A-Za-z_][A-Za-z0-9_]*\}"
    r"|<(?:your|my)[-_ ][^>]*>|(?i:REPLACE[_-]?ME)"
)


def rules(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """All findings about one object."""
    yield from _placeholders(one)
    yield from _selected(one)
    yield from _unread(one)
    match one.kind:
        case "Service":
            yield from _service(one, everything)
        case "PodMonitoring" | "PodMonitor" | "ServiceMonitor":
            yield from watching.rules(one, everything)
        case "PersistentVolumeClaim" | "PersistentVolume":
            yield from _volume(one, everything)


def _selected(one: Manifest) -> Iterator[Finding]:
    """A workload whose own pods are not the ones that it selects: the API server refuses it."""
    wanted = table(table(one.get("spec", "selector")).get("matchLabels"))
    if one.kind not in ("Deployment", "StatefulSet", "ReplicaSet", "DaemonSet") or one.loose:
        return
    for pod in pods(one):
        if wanted and pod.labels and not wanted.items() <= pod.labels.items():
            yield one.finding("selector", ("spec", "selector"), labels=_words(dict(wanted)))


def _unread(one: Manifest) -> Iterator[Finding]:
    """An operator's object is not `ok` where nobody looked."""
    if operated(one) and (what := unread(one)):
        yield one.finding("not-read", ("kind",), kind=one.kind, what=what)


def _placeholders(one: Manifest) -> Iterator[Finding]:
    """A value that a sed was to fill in, and did not; scripts and their own variables are none."""
    mark = "$" if _FILLED.search(one.file) else ""  # Terraform fills these in
    for path, text in one.texts():
        match = _PLACEHOLDER.search(text)
        inside = not _OWN.isdisjoint(str(part) for part in path) or "\n" in text
        if match and not ((inside or mark) and match[0].startswith("$")):
            yield one.finding("placeholder", path, text=match[0])


def twice(one: Manifest, firsts: dict[tuple[str, str | None, str], Manifest]) -> Iterator[Finding]:
    """An object that stands here already; `firsts` holds the first of each name, and takes this one."""
    folder = one.file.rpartition("/")[0]  # what stands in two folders is hardly applied together
    first = firsts.setdefault((f"{one.build} {folder}/{one.kind}", one.namespace, one.name), one)
    named = one.name and not _PLACEHOLDER.search(one.name) and not _FILLED.search(one.file)
    if first is not one and named and first.body != one.body:
        case = "same file" if first.file == one.file else "other file"
        yield one.finding("twice", ("metadata", "name"), case, first=first.at("metadata", "name"))


def _service(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    notes = one.get("metadata", "annotations", default={})
    inside = (
        any("internal" in f"{k}{v}".lower() for k, v in notes.items()) if isinstance(notes, dict) else False
    )
    if one.get("spec", "type") == "LoadBalancer" and not inside and _asked(one, everything):
        yield one.finding("public", ("spec", "type"))
    selector = one.get("spec", "selector", default={})
    others = [other for other in everything if other.kind != one.kind and _near(one, other)]
    pairs = [(other, labels) for other in others for labels in labels_of(other)]
    every = [labels for _, labels in pairs]
    if not isinstance(selector, dict) or not selector or one.loose or any(other.loose for other in others):
        return
    if every and not any(selector.items() <= labels.items() for labels in every):
        case = "here" if any(other.file == one.file for other, _ in pairs) else "elsewhere"
        yield one.finding("service-selector", ("spec", "selector"), case, labels=_words(selector))
    else:
        yield from watching.doors(one, selector, others)


def _asked(one: Manifest, everything: Sequence[Manifest]) -> bool:
    """Whether a model or a page that asks one stands behind a Service."""
    selector = table(one.get("spec", "selector"))
    behind = [o for o in everything if any(selector.items() <= labels.items() for labels in labels_of(o))]
    said = f"{one.name} {selector} {[pod.spec.get('containers') for o in behind for pod in pods(o)]}"
    return bool(_ASKED.search(said.lower()))


def _near(one: Manifest, other: Manifest) -> bool:
    return one.namespace is None or other.namespace is None or one.namespace == other.namespace


def _same_space(one: Manifest, other: Manifest) -> bool:
    return (one.namespace or "") == (other.namespace or "")


def _words(selector: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in selector.items())


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
        for pod in pods(user):
            for index, volume in enumerate(listed(pod.spec.get("volumes"))):
                claim = table(table(volume).get("persistentVolumeClaim")).get("claimName")
                if claim == one.name and _many(user, everything):
                    at, place = (*pod.at, "volumes", index), one.at("spec", "accessModes")
                    yield user.finding("volume-mode", at, "claim", claim=one.name, place=place)


def _many(user: Manifest, everything: Sequence[Manifest]) -> bool:
    scaled = any(
        other.kind in ("HorizontalPodAutoscaler", "ScaledObject")
        and other.get("spec", "scaleTargetRef", "name") in (user.name, user.first or user.name)
        for other in everything
    )
    group = (
        user.kind == "LeaderWorkerSet" and user.get("spec", "leaderWorkerTemplate", "size", default=1) != 1
    )
    return scaled or int(user.get("spec", "replicas", default=1)) > 1 or group
