"""Whether a scaler is shaped as its kind is: maps, lists and numbers where they belong."""

from collections.abc import Iterator
from typing import Any

from stoker.advise.lint.reading import Manifest, Path
from stoker.bounds import shown
from stoker.findings import Finding

COUNT = 0
_RULES: Any = {"stabilizationWindowSeconds": COUNT, "policies": [{"value": COUNT, "periodSeconds": COUNT}]}
_BEHAVIOR: Any = {"scaleUp": _RULES, "scaleDown": _RULES}
_SOURCE: Any = {"metric": {"selector": {}}, "target": {}}
_SHAPES: dict[str, Any] = {
    "HorizontalPodAutoscaler": {
        "scaleTargetRef": {},
        "minReplicas": COUNT,
        "maxReplicas": COUNT,
        "targetCPUUtilizationPercentage": COUNT,
        "behavior": _BEHAVIOR,
        "metrics": [
            {
                "pods": _SOURCE,
                "external": _SOURCE,
                "object": {**_SOURCE, "describedObject": {}},
                "resource": {"target": {}},
                "containerResource": {"target": {}},
            }
        ],
    },
    "ScaledObject": {
        "scaleTargetRef": {},
        "minReplicaCount": COUNT,
        "maxReplicaCount": COUNT,
        "idleReplicaCount": COUNT,
        "pollingInterval": COUNT,
        "cooldownPeriod": COUNT,
        "fallback": {"failureThreshold": COUNT, "replicas": COUNT},
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _BEHAVIOR}, "scalingModifiers": {}},
        "triggers": [{"metadata": {}}],
    },
}


def misshapen(one: Manifest) -> Iterator[Finding]:
    """A finding for each field that is another thing than the API takes; a text may be a template's."""
    for path, why in _wrong(one.body.get("spec"), _SHAPES.get(one.kind, {}), ("spec",)):
        yield one.finding("shape", path, kind=one.kind, error=why)


def _wrong(value: Any, shape: Any, path: Path) -> Iterator[tuple[Path, str]]:
    where = ".".join(str(part) for part in path)
    if value is None:
        return
    if shape == COUNT and isinstance(shape, int):
        if not isinstance(value, int | str) or isinstance(value, bool):
            yield path, f"{where} is {shown(value)}: expected a whole number"
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield path, f"{where} is {shown(value)}: expected a list"
            return
        for index, inner in enumerate(value):
            yield from _wrong(inner, shape[0], (*path, index))
    elif not isinstance(value, dict):
        yield path, f"{where} is {shown(value)}: expected a map"
    else:
        for key, inner in shape.items():
            yield from _wrong(value.get(key), inner, (*path, key))
