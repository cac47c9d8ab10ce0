"""What would hurt in manifests that others wrote: their text in, findings out, with rule id, line, why and
fix.

`lint(files)` reads all files together: a PodMonitoring in one file and the Deployment in another belong to
each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from stoker.advise.lint import configs, engine, expressions, kinds, kustomize, objects, scaling
from stoker.advise.lint.forms import is_manifest
from stoker.advise.lint.reading import Manifest, read
from stoker.catalog.rules import rule
from stoker.findings import Finding

# Kinds that other objects are checked against, and how many of them may be.
RELATED = frozenset(
    {
        *kinds.WORKLOADS,
        "CronJob",
        "Service",
        "HorizontalPodAutoscaler",
        "ScaledObject",
        "PodDisruptionBudget",
        "VerticalPodAutoscaler",
        "ResourceQuota",
        "AutoscalingMetric",
        "PersistentVolumeClaim",
        "PersistentVolume",
        "PodMonitoring",
        "PodMonitor",
        "ServiceMonitor",
        "ConfigMap",
        "ResourceClaimTemplate",
        "ResourceClaim",
    }
)
TOGETHER = 1_200
T = TypeVar("T")


def lint(files: Mapping[str, str]) -> tuple[Finding, ...]:
    """Everything that is found in the files (name to text), in the order of files and lines."""
    everything, findings = _objects(files)
    related = [one for one in everything if one.kind in RELATED]
    if len(related) > TOGETHER:
        findings.append(_too_many(related))
        everything = []
    around = scaling.Around(everything)
    firsts: dict[tuple[str, str | None, str], Manifest] = {}
    for manifest in everything:
        findings += objects.twice(manifest, firsts)
        for rules in (objects.rules, engine.rules):
            findings += _found(rules, manifest, related)
        findings += _found(scaling.rules, manifest, around)
        for alone in (expressions.rules, configs.rules):
            findings += _found(lambda one, _, alone=alone: alone(one), manifest, None)  # type: ignore[misc]
    order = {name: index for index, name in enumerate(files)}
    found = [_placed(one) for one in _once(findings)]
    return tuple(one for _, _, one in sorted(found, key=lambda row: (order.get(row[0], 0), row[1])))


def _objects(files: Mapping[str, str]) -> tuple[list[Manifest], list[Finding]]:
    """The objects of all files, those of a kustomization as it makes them; what is wrong with files."""
    found: dict[str, list[Manifest]] = {}
    findings: list[Finding] = []
    patched = any(kustomize.is_kustomization(name) for name in files)
    for name, text in files.items():
        found[name], broken = read(text, name, patch=patched)
        findings += broken
    built = kustomize.build(found)
    whole = [
        one
        for name, objects in found.items()
        if name not in built.parts
        for one in objects
        if "" not in one.body
    ]
    for patch in dict.fromkeys(one.file for one in built.lost):
        findings.append(rule("lint-not-read", "patch").finding(f"{patch}:1:1"))
    return [*whole, *built.objects], findings


def _once(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once: two overlays of one base say the same of it, under names of their own."""
    out: dict[tuple[str, ...], Finding] = {}
    for one in findings:
        what = one.what.partition(": ")[2] or one.what
        out.setdefault((one.rule, one.at, what, one.why), one)
    return list(out.values())


def _too_many(related: Sequence[Manifest]) -> Finding:
    """Each of them would be compared with each."""
    return rule("text-bounds").finding(related[TOGETHER].at(), most=f"{TOGETHER:,}")


def _found(rules: Callable[[Manifest, T], Iterable[Finding]], manifest: Manifest, around: T) -> list[Finding]:
    """What the rules find; of an object that is not shaped as its kind is, just that."""
    try:
        return list(rules(manifest, around))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return [manifest.finding("shape", (), kind=manifest.kind or "object", error=error)]


def _placed(finding: Finding) -> tuple[str, int, Finding]:
    file, _, rest = finding.at.partition(":")
    return file, int(rest.partition(":")[0] or 0), finding


__all__ = ["is_manifest", "lint"]
