"""What the fleet's workloads and Jobs say of themselves: their conditions, and what somebody holds.

Source: pkg/controller/deployment/util, pkg/controller/replicaset, pkg/controller/job; LeaderWorkerSet's own
conditions.
"""

import re
from collections.abc import Iterable
from typing import Any

from stoker.fleet.state import Evidence

Object = dict[str, Any]
BAD = {
    "Available": "False",
    "Progressing": "False",
    "ReplicaFailure": "True",
}  # of a Deployment or LeaderWorkerSet


def evidence(owners: Iterable[Object], jobs: Iterable[Object] = ()) -> tuple[Evidence, ...]:
    """What is not as it should be, by their own conditions."""
    out = [piece for owner in owners for piece in _workload(owner)]
    return (
        *out,
        *(_sign(job, "JobSuspended", "it is suspended") for job in jobs if job["spec"].get("suspend")),
    )


def _workload(owner: Object) -> list[Evidence]:
    if owner["spec"].get("paused"):
        return [_sign(owner, "DeploymentPaused", "Deployment is paused")]
    return [
        _sign(owner, str(one.get("reason") or one["type"]), str(one.get("message", "")))
        for one in owner.get("status", {}).get("conditions", ())
        if BAD.get(one["type"]) == one["status"]
    ]


def over(owner: Object | None, found: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """The signs without refusals of pods that its Deployment has got over: it says itself when one goes
    on."""
    status = (owner or {}).get("status", {})
    failing = any(one["type"] == "ReplicaFailure" for one in status.get("conditions", ()))
    if owner is None or owner["kind"] != "Deployment" or failing or not status:
        return tuple(found)
    own = re.compile(rf"ReplicaSet/{re.escape(owner['metadata']['name'])}-[0-9a-z]+")
    return tuple(one for one in found if one.reason != "FailedCreate" or not own.fullmatch(one.subject))


def _sign(body: Object, reason: str, text: str) -> Evidence:
    return Evidence("condition", f"{body['kind']}/{body['metadata']['name']}", reason, text)
