"""Who serves metrics to HPAs in a cluster: the API server knows one for pods' metrics, one for external ones.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#support-for-metrics-apis;
only one server can have external.metrics.k8s.io, which KEDA takes: https://keda.sh/docs/latest/troubleshooting.
"""

from collections.abc import Collection
from typing import Any

from stoker.errors import UsageError
from stoker.fleet.state import Evidence
from stoker.targets.kubernetes.client import FORBIDDEN, Api

Object = dict[str, Any]
EXTERNAL = "v1beta1.external.metrics.k8s.io"
SERVED = {
    "Pods": ("v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io"),
    "External": (EXTERNAL,),
}


def broken(api: Api, types: Collection[str], *, by_keda: bool) -> tuple[Evidence, ...]:
    """What is wrong with those that serve metrics of these types.

    by_keda: KEDA must be who serves the external ones; else it must not.
    """
    out: list[Evidence] = []
    for type_ in sorted(types):
        found = [one for version in SERVED.get(type_, ()) if (one := service(api, version)) is not None]
        out += [sign for one in found if (sign := _down(one)) is not None][:1]
        if type_ == "External":
            out += [_elsewhere(one, by_keda) for one in found if is_kedas(one) is not by_keda]
    return tuple(out)


def service(api: Api, version: str) -> Object | None:
    """One APIService; None where it is not there, or this user may not look."""
    try:
        return api.get("APIService", None, version)
    except UsageError as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        return None


def owner(api: Api) -> str:
    """The Service behind the cluster's external metrics, `NAMESPACE/NAME`; empty where none is known."""
    found = service(api, EXTERNAL)
    return _behind(found) if found else ""


def _behind(body: Object) -> str:
    found = body.get("spec", {}).get("service") or {}
    return f"{found.get('namespace', '')}/{found.get('name', '')}".strip("/")


def is_kedas(body: Object) -> bool:
    """Whether KEDA's metrics server stands behind an APIService, by the name of its Service."""
    return "keda" in str((body.get("spec", {}).get("service") or {}).get("name", ""))


def _down(body: Object) -> Evidence | None:
    """An adapter that is installed and does not answer: the API server itself looks at it, all the time."""
    for one in body.get("status", {}).get("conditions", ()):
        if one["type"] == "Available" and one["status"] == "False":
            text = f"{one.get('reason', '')}: {one.get('message', '')}"
            return Evidence("condition", f"APIService/{body['metadata']['name']}", "AdapterDown", text)
    return None


def _elsewhere(body: Object, by_keda: bool) -> Evidence:
    there = _behind(body) or "nobody"
    asked = "KEDA's" if by_keda else "the adapter's of kubernetes.metrics"
    text = f"{there} serves external metrics, and not {asked}"
    return Evidence("condition", f"APIService/{body['metadata']['name']}", "ExternalTaken", text)
