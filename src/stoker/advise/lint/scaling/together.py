"""Rules about a scaler and what else is in the files: the workload, another scaler, the namespace's quota."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from stoker.advise.lint.reading import Manifest
from stoker.advise.lint.scaling.around import KINDS, Around, near, same
from stoker.advise.lint.scaling.scaler import HPA, Reference, Scaler
from stoker.advise.lint.scaling.workload import Workload
from stoker.advise.lint.values import figure, listed, quantity, some, table, text
from stoker.findings import Finding

GROUPS: Mapping[str, str] = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1",
}
RESTING = ("Off", "Initial")  # modes in which a VerticalPodAutoscaler changes no running pod
OTHER_GROUPS = ("", "extensions", "apps", "batch")  # known to have no such kind; others' may
UNSCALED = frozenset({"DaemonSet", "Job", "CronJob", "Pod"})
# A Deployment's ReplicaSet: its name, and a hash in the letters that Kubernetes makes them of.
_OWNED = re.compile(r"(.+)-[bcdfghjklmnpqrstvwxz2456789]{8,10}")
_QUOTA = re.compile(r"requests\.((?:nvidia\.com|amd\.com|google\.com)/[A-Za-z0-9._-]+)")


def rules(scaler: Scaler, around: Around) -> Iterator[Finding]:
    """All findings about a scaler beside others."""
    target = scaler.target
    if target is None:
        if scaler.one.get("spec", "metrics") is not None or scaler.one.get("spec", "triggers") is not None:
            yield scaler.one.finding("hpa-target", ("spec",), "missing")
        return  # without metrics either it is a patch of another file's
    yield from _two(scaler, target, around)
    yield from _vertical(scaler, target, around)
    if (wrong := _target(scaler, target, around)) is not None:
        yield wrong
    workload = around.workload(scaler)
    if workload is not None:
        if workload.one.get("spec", "replicas") is not None and not around.before(scaler):  # said once
            yield workload.one.finding("hpa-replicas", ("spec", "replicas"))
        yield from _quota(scaler, workload, around)


def _two(scaler: Scaler, target: Reference, around: Around) -> Iterator[Finding]:
    """A second scaler of one target; two objects of one name are another rule's, a base and its patch."""
    for other in around.before(scaler):
        named = (other.one.kind, other.one.name) == (scaler.one.kind, scaler.one.name)
        if same(other.one, scaler.one) and not named and not _one(scaler, other):
            said = {"other": f"{other.one.kind} {other.one.name}", "place": other.one.at("metadata", "name")}
            case = "both" if other.one.file == scaler.one.file else "apart"
            at = ("spec", "scaleTargetRef")
            yield scaler.one.finding("two-scalers", at, case, **said, kind=target.kind, object=target.name)
            return


def _one(scaler: Scaler, other: Scaler) -> bool:
    """Whether a ScaledObject has made the HPA, or takes it over."""
    if scaler.keda == other.keda:
        return False
    keda, hpa = (scaler.one, other.one) if scaler.keda else (other.one, scaler.one)
    given = keda.get("spec", "advanced", "horizontalPodAutoscalerConfig", "name")
    owners = [table(one) for one in listed(hpa.get("metadata", "ownerReferences"))]
    made = any(owner.get("kind") == keda.kind for owner in owners)
    return made or hpa.name in (text(given), f"keda-hpa-{keda.name}")


def _vertical(scaler: Scaler, target: Reference, around: Around) -> Iterator[Finding]:
    """A VerticalPodAutoscaler that sets what this one measures."""
    used = {one.name for one in scaler.metrics if "esource" in one.source and one.how != "AverageValue"}
    if scaler.one.kind == HPA and not scaler.metrics and scaler.one.get("spec", "metrics") is None:
        used = {"cpu"}
    for other in around.of("VerticalPodAutoscaler"):
        theirs = table(other.get("spec", "targetRef"))
        mode = text(other.get("spec", "updatePolicy", "updateMode", default="Auto"))
        ours = (theirs.get("kind"), theirs.get("name")) == (target.kind, target.name)
        if not ours or mode in RESTING:
            continue
        both = sorted(name for name in used & {"cpu", "memory"} if _controls(other, name))
        if both and same(other, scaler.one):
            said = {"other": f"{other.kind} {other.name}", "place": other.at("spec"), "resource": both[0]}
            at = ("spec", "scaleTargetRef")
            yield scaler.one.finding(
                "two-scalers", at, "vertical", **said, kind=target.kind, object=target.name
            )


def _controls(vertical: Manifest, resource: str) -> bool:
    """Whether it sets a resource in every container."""
    for policy in listed(vertical.get("spec", "resourcePolicy", "containerPolicies")):
        kept = listed(table(policy).get("controlledResources"))
        if table(policy).get("mode") == "Off" or (kept and resource not in kept):
            return False
    return True


def _target(scaler: Scaler, target: Reference, around: Around) -> Finding | None:
    """What is wrong with what it names to scale."""
    at = ("spec", "scaleTargetRef")
    if target.kind in UNSCALED:
        return scaler.one.finding("hpa-target", (*at, "kind"), "no scale", kind=target.kind)
    group = GROUPS.get(target.kind, "").partition("/")[0]
    if group and target.group != group and target.group in OTHER_GROUPS:
        said = {"kind": target.kind, "group": target.group, "api": target.api, "instead": GROUPS[target.kind]}
        return scaler.one.finding("hpa-target", (*at, "apiVersion"), "group", **said)
    found = around.workload(scaler)
    if target.kind == "ReplicaSet" and found is None and (match := _OWNED.fullmatch(target.name)):
        said = {"object": target.name, "owner": match[1]}
        return scaler.one.finding("hpa-target", (*at, "name"), "owned", **said)
    if found is not None or target.kind not in KINDS or not target.name:
        return None
    others = [one.one for one in around.workloads if same(one.one, scaler.one)]
    if not others:
        return None
    names = some(f"{one.kind} {one.name}" for one in others)
    unknown = scaler.one.finding(
        "hpa-target", at, "unknown", kind=target.kind, object=target.name, others=names
    )
    beside = any(one.file == scaler.one.file for one in others)
    return unknown if beside else replace(unknown, severity="note")  # it may stand elsewhere


def _quota(scaler: Scaler, workload: Workload, around: Around) -> Iterator[Finding]:
    """More replicas than the namespace may have."""
    if scaler.most is None:
        return
    for quota in around.of("ResourceQuota"):
        scoped = quota.get("spec", "scopes") or quota.get("spec", "scopeSelector")
        if scoped or not same(quota, workload.one) or not near(quota, scaler.one):
            continue
        for name, value in table(quota.get("spec", "hard")).items():
            hard, match = quantity(value), _QUOTA.fullmatch(str(name))
            if match:
                each, case = workload.devices(match[1]), "devices"
            elif name in ("pods", "count/pods"):
                each, case = float(workload.pods_a_replica), "pods"
            else:
                continue
            if hard is not None and each > 0 and each * scaler.most > hard:
                said = _said(scaler, each, hard, match[1] if match else "")
                place = quota.at("spec", "hard", name)
                yield scaler.one.finding("hpa-quota", scaler.most_at, case, **said, place=place)


def _said(scaler: Scaler, each: float, hard: float, resource: str) -> dict[str, Any]:
    most = scaler.most or 0
    said = {"need": figure(each * most), "hard": figure(hard), "fits": int(hard // each)}
    return {**said, "most": most, "resource": resource, "field": scaler.most_at[-1]}
