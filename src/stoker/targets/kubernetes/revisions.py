"""The revisions of a fleet that were ready: its specs, kept as ControllerRevisions in its own namespace."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from stoker.targets.kubernetes.client import Api

KEPT = 10
DIGEST = "stoker/spec"


@dataclass(frozen=True, slots=True)
class Revision:
    """One spec that was ready, as `spec.dump` gives it."""

    number: int
    spec: dict[str, Any]
    name: str

    @property
    def digest(self) -> str:
        """What tells two specs apart."""
        return digest(self.spec)


def digest(spec: dict[str, Any]) -> str:
    """A short name of a spec's values, but for the number of replicas: scaling makes no other fleet of it."""
    kept = {key: value for key, value in spec.items() if key != "replicas"}
    return hashlib.sha256(json.dumps(_whole(kept), sort_keys=True, default=str).encode()).hexdigest()[:12]


def _whole(value: Any) -> Any:
    """The value with 30.0 as 30: an API server gives numbers back so."""
    if isinstance(value, dict):
        return {key: _whole(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def revisions(api: Api, namespace: str, selector: str) -> tuple[Revision, ...]:
    """All that are kept, the oldest first."""
    found = api.visible("ControllerRevision", namespace, selector)
    out = [
        Revision(int(one["revision"]), one["data"]["spec"], one["metadata"]["name"])
        for one in found
        if "data" in one
    ]
    return tuple(sorted(out, key=lambda one: one.number))


def record(
    api: Api, namespace: str, fleet: str, selector: str, labels: dict[str, str], spec: dict[str, Any]
) -> int:
    """Keeps a spec that is ready now, unless it is the newest already; the oldest go. Returns its number."""
    known = revisions(api, namespace, selector)
    plain = json.loads(json.dumps(spec, default=str))
    if known and known[-1].spec == plain:
        return known[-1].number
    number = known[-1].number + 1 if known else 1
    api.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {"name": f"{fleet}-{number}", "namespace": namespace, "labels": labels},
            "revision": number,
            "data": {"spec": plain},
        }
    )
    for old in known[: max(0, len(known) + 1 - KEPT)]:
        api.delete("ControllerRevision", namespace, old.name)
    return number
