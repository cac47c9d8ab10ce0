"""The number of replicas: whose it is, Stoker's or an HPA's, and how it changes hands without a replica lost.

An apply without `spec.replicas` gives up what an earlier one claimed, and the field falls back to 1; so
another manager claims it first. Source:
https://kubernetes.io/docs/reference/using-api/server-side-apply/#transferring-ownership
"""

import re
from typing import Any

from stoker.errors import UsageError
from stoker.targets.kubernetes import workload
from stoker.targets.kubernetes.client import Api, Object

KEEPER = "stoker-replicas"
_THE_HPAS = re.compile(
    rf'with 1 conflict: conflict with "(kube-controller-manager|keda[\w-]*|{KEEPER})"'
    r"[^:]*: \.spec\.replicas\s*$"
)


_ALONE = re.compile(r"with 1 conflict: [^:]*: \.spec\.replicas\s*$")


def alone(refused: UsageError) -> bool:
    """Whether the number of replicas is all that others hold of what an apply would change."""
    return _ALONE.search(refused.finding.why or "") is not None


def falls(live: Object, after: Object) -> int | None:
    """The count that an apply would lose; None where it stays. `after` is made to say what stays."""
    count = workload.count(live)
    if workload.count(after) == count:
        return None
    after["spec"]["replicas"] = count
    return count


def keep(api: Api, body: Object, count: int) -> None:
    """Claims the count of a workload that is there, for nobody who applies the rest of it."""
    meta: dict[str, Any] = {key: body["metadata"][key] for key in ("name", "namespace")}
    part = {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "metadata": meta,
        "spec": {"replicas": count},
    }
    api.apply(part, force=True, manager=KEEPER)


def owned_by_hpa(api: Api, body: Object, refused: UsageError) -> bool:
    """Whether all that keeps Stoker from a fixed number is that its own HPA, which is gone or about to go,
    wrote the last one."""
    if _THE_HPAS.search(refused.finding.why or "") is None:
        return False
    meta = body["metadata"]
    mine = {"kind": body["kind"], "name": meta["name"]}
    return all(
        workload.ours(one)
        for one in api.visible("HorizontalPodAutoscaler", meta["namespace"])
        if mine.items() <= one["spec"]["scaleTargetRef"].items()
    )
