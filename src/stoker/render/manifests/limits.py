"""limits.cpu, where something asks for it: the file, or a LimitRange or ResourceQuota of the namespace.

Elsewhere there is none: a core that nobody else uses makes an engine start sooner, and a limit only takes it
away.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stoker.render.manifests.manifest import Manifest


@dataclass(frozen=True, slots=True)
class CpuLimits:
    """What asks for limits of cores. always: each container needs one; below: the limit, in cores, that a
    container gets which has none, so that those that ask for more must say their own.
    """

    always: bool = False
    below: Decimal | None = None


def limited(made: Iterable[Manifest], asked: CpuLimits) -> tuple[Manifest, ...]:
    """The objects with the limits that are asked for: as many cores as a container asks for, and no fewer."""
    if asked == CpuLimits():
        return tuple(made)
    return tuple(_limited(one, asked) for one in made)


def _limited(one: Manifest, asked: CpuLimits) -> Manifest:
    body = deepcopy(one.body)
    found = [
        container for pod in _pods(body) for container in (*pod.get("initContainers", ()), *pod["containers"])
    ]
    for container in found:
        resources = container.get("resources", {})
        cores = resources.get("requests", {}).get("cpu")
        if cores is not None and (asked.always or (asked.below is not None and asked.below < _cores(cores))):
            resources["limits"] = {"cpu": cores, **resources.get("limits", {})}
    return Manifest(body) if found else one


def _pods(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The specs of the pods that an object makes."""
    spec = body.get("spec") or {}
    templates = [spec.get("template")] if body["kind"] in ("Deployment", "Job") else []
    parts = spec.get("leaderWorkerTemplate", {}) if body["kind"] == "LeaderWorkerSet" else {}
    templates += [parts.get("leaderTemplate"), parts.get("workerTemplate")]
    return [one["spec"] for one in templates if one]


def _cores(text: str) -> Decimal:
    return Decimal(text[:-1]) / 1000 if text.endswith("m") else Decimal(text)
