"""What would hurt in manifests that others wrote: their text in, findings out, with rule id, line, why and
fix.

`lint(files)` reads all files together: a PodMonitoring in one file and the Deployment in another belong to
each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from stoker.advise.lint import engine, objects, scaling
from stoker.advise.lint.reading import Manifest, read
from stoker.catalog.rules import rule
from stoker.findings import Finding

# Kinds that other objects are checked against, and how many of them may be.
RELATED = frozenset(
    {
        *objects.WORKLOADS,
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
    }
)
TOGETHER = 1_200
T = TypeVar("T")


def lint(files: Mapping[str, str]) -> tuple[Finding, ...]:
    """Everything that is found in the files (name to text), in the order of files and lines."""
    found: list[tuple[str, int, Finding]] = []
    everything: list[Manifest] = []
    for name, text in files.items():
        manifests, broken = read(text, name)
        everything += manifests
        found += [_placed(one) for one in broken]
    firsts: dict[tuple[str, str | None, str], Manifest] = {}
    related = [one for one in everything if one.kind in RELATED]
    if len(related) > TOGETHER:
        found.append(_placed(_too_many(related)))
        everything = []
    around = scaling.Around(everything)
    for manifest in everything:
        found += [_placed(one) for one in objects.twice(manifest, firsts)]
        for rules in (objects.rules, engine.rules):
            found += [_placed(one) for one in _found(rules, manifest, related)]
        found += [_placed(one) for one in _found(scaling.rules, manifest, around)]
    order = {name: index for index, name in enumerate(files)}
    found = list(dict.fromkeys(found))
    return tuple(one for _, _, one in sorted(found, key=lambda row: (order.get(row[0], 0), row[1])))


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


def is_manifest(text: str) -> bool:
    """Whether a file holds Kubernetes objects, or a metrics adapter's rules, rather than a spec; one that
    holds nothing may have been meant as some."""
    lines = text.splitlines()
    objects = any(line.startswith("apiVersion:") or "seriesQuery:" in line for line in lines)
    return objects or not "".join(line.partition("#")[0].strip("-. ") for line in lines)
