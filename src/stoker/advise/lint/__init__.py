"""What would hurt in manifests that others wrote: their text in, findings out, with rule id, line, why and
fix.

`lint(files)` reads all files together: a PodMonitoring in one file and the Deployment in another belong to
each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from stoker.advise.lint import configs, engine, expressions, kinds, kustomize, objects, scaling
from stoker.advise.lint.forms import is_manifest
from stoker.advise.lint.queries import parsed
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
NEAR = 1  # folders that a file may be away from the one that it shares with another
T = TypeVar("T")


def lint(files: Mapping[str, str]) -> tuple[Finding, ...]:
    """Everything that is found in the files (name to text), in the order of files and lines."""
    everything, findings = _objects(files)
    firsts: dict[tuple[str, str | None, str], Manifest] = {}
    groups: dict[tuple[str, str], _Group] = {}
    for manifest in everything:
        key = (manifest.file.rpartition("/")[0], manifest.build)
        if key not in groups:
            groups[key] = _group(*key, everything)
        related, around = groups[key].related, groups[key].around
        if len(related) > TOGETHER:
            findings.append(_too_many(related))
            continue
        findings += objects.twice(manifest, firsts)
        for rules in (objects.rules, engine.rules):
            findings += _found(rules, manifest, related)
        findings += _found(scaling.rules, manifest, around)
        for alone in (expressions.rules, configs.rules):
            findings += _found(lambda one, _, alone=alone: alone(one), manifest, None)  # type: ignore[misc]
    asks = next((one for one in everything if one.kind in ("PrometheusRule", "ScaledObject")), None)
    if asks is not None and not parsed():
        findings.append(rule("dashboard-parser").finding(asks.at()))
    order = {name: index for index, name in enumerate(files)}
    found = [_placed(one) for one in _once(findings)]
    return tuple(one for _, _, one in sorted(found, key=lambda row: (order.get(row[0], 0), row[1])))


@dataclass(frozen=True)
class _Group:
    """What stands near the files of one folder, and may be applied with them."""

    related: list[Manifest]
    around: scaling.Around


def _group(folder: str, build: str, everything: Sequence[Manifest]) -> _Group:
    """build: of two kustomizations one is applied, or they are for different clusters."""
    mine = [one for one in everything if one.build in ("", build) or not build]
    for near in (NEAR, 0):  # where that is too many, the folder alone
        found = [one for one in mine if _beside(folder, one.file.rpartition("/")[0], near)]
        related = [one for one in found if one.kind in RELATED]
        if len(related) <= TOGETHER:
            break
    return _Group(related, scaling.Around(found))


@lru_cache(100_000)
def _beside(folder: str, other: str, near: int) -> bool:
    """Whether two folders are one, or next to each other: in it, around it, or under the same one."""
    mine, theirs = [part.split("/") if part else [] for part in (folder, other)]
    shared = 0
    for left, right in zip(mine, theirs, strict=False):
        if left != right:
            break
        shared += 1
    return len(mine) - shared <= near and len(theirs) - shared <= near


def _objects(files: Mapping[str, str]) -> tuple[list[Manifest], list[Finding]]:
    """The objects of all files, those of a kustomization as it makes them; what is wrong with files."""
    found: dict[str, list[Manifest]] = {}
    findings: list[Finding] = []
    for name, text in files.items():
        found[name], broken = read(text, name, patch=True)
        findings += broken
    built = kustomize.build(found)
    whole = [
        one
        for name, objects in found.items()
        if name not in built.parts
        for one in objects
        if "" not in one.body
    ]
    left = [
        n for n, objects in found.items() if n not in built.parts and any("" in one.body for one in objects)
    ]
    lost: dict[str, str] = {}
    for patch in [*(one.file for one in built.lost), *left]:
        lost.setdefault(patch.rpartition("/")[0], patch)  # one word a folder
    findings += [rule("lint-not-read", "patch").finding(f"{patch}:1:1") for patch in lost.values()]
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
