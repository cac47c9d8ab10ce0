"""What others have put into an object of the fleet: fields that no apply of Stoker's touches, with who owns
them."""

import json
from collections.abc import Iterator
from typing import Any

from stoker.targets.kubernetes.client import MANAGER, Object

# Where a field of somebody else changes what the fleet is; elsewhere controllers write as they should.
KINDS = frozenset(
    {
        "Deployment",
        "LeaderWorkerSet",
        "Service",
        "NetworkPolicy",
        "ConfigMap",
        "HorizontalPodAutoscaler",
        "ScaledObject",
        "AutoscalingMetric",
    }
)
CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "cloud-controller-manager")
PARTS = ("f:spec", "f:data")
# Labels and annotations are anybody's; the number of replicas is told elsewhere.
OTHERS = ("f:metadata", "f:replicas")


def foreign(body: Object) -> tuple[str, ...]:
    """Each such field as `spec.template.spec.hostNetwork (kubectl-edit)`; only the topmost of what is theirs
    alone.

    body: as an apply would leave it, so that what it takes back is not among them.
    """
    if body["kind"] not in KINDS:
        return ()
    fields = body["metadata"].get("managedFields") or []
    ours: dict[str, Any] = {}
    for one in fields:
        if str(one.get("manager", "")).startswith(MANAGER):
            _merge(ours, one.get("fieldsV1") or {})
    return tuple(
        f"{path} ({one['manager']})"
        for one in fields
        if not one.get("subresource") and not str(one.get("manager", "")).startswith((MANAGER, *CONTROLLERS))
        for part in PARTS
        for path in _beyond((one.get("fieldsV1") or {}).get(part, {}), ours.get(part, {}), part[2:])
    )


def _merge(into: dict[str, Any], fields: dict[str, Any]) -> None:
    for key, below in fields.items():
        _merge(into.setdefault(key, {}), below)


def _beyond(theirs: dict[str, Any], ours: dict[str, Any], path: str) -> Iterator[str]:
    """What is in the one tree of fields and not in the other: source of the form, structured-merge-diff's
    fieldpath."""
    for key, below in theirs.items():
        if key == "." or key in OTHERS:
            continue
        here = path + _written(key)
        if key in ours:
            yield from _beyond(below, ours[key], here)
        else:
            yield here


def _written(key: str) -> str:
    """`f:env` as `.env`, `k:{"name":"engine"}` as `[engine]`, `v:"x"` as `[x]`."""
    form, _, rest = key.partition(":")
    if form == "f":
        return f".{rest}"
    value = json.loads(rest)
    return f"[{','.join(map(str, value.values())) if isinstance(value, dict) else value}]"
