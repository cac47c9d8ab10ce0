"""What stands around a fleet's pods, read as the API has it: workloads, ways in, what is deleted and
stays."""

from typing import Any

import pytest

from stoker.targets.kubernetes import deletion, probe_events, routes, workload_conditions
from stoker.targets.kubernetes.pods import evidence, replicas, unattended, unscheduled

NOW = 1_793_613_600.0 + 100  # a hundred seconds after AT
AT, LATER = "2026-11-02T10:00:00Z", "2026-11-02T10:01:30Z"


def deployment(*conditions: tuple[str, str, str], **spec: Any) -> dict[str, Any]:
    found = [
        {"type": kind, "status": status, "reason": reason, "message": "words"}
        for kind, status, reason in conditions
    ]
    return {
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": spec,
        "status": {"conditions": found, "observedGeneration": 1},
    }


def test_what_a_workload_says_of_itself() -> None:
    good = deployment(
        ("Available", "True", "MinimumReplicasAvailable"), ("Progressing", "True", "NewReplicaSetAvailable")
    )
    assert workload_conditions.evidence([good]) == ()
    bad = deployment(
        ("Available", "False", "MinimumReplicasUnavailable"),
        ("Progressing", "False", "ProgressDeadlineExceeded"),
        ("ReplicaFailure", "True", "FailedCreate"),
    )
    assert [(one.reason, one.text, one.subject) for one in workload_conditions.evidence([bad])] == [
        ("MinimumReplicasUnavailable", "words", "Deployment/shop"),
        ("ProgressDeadlineExceeded", "words", "Deployment/shop"),
        ("FailedCreate", "words", "Deployment/shop"),
    ]
    assert [one.reason for one in workload_conditions.evidence([deployment(paused=True)])] == [
        "DeploymentPaused"
    ]
    job = {"kind": "Job", "metadata": {"name": "j"}, "spec": {"suspend": True}}
    assert [one.reason for one in workload_conditions.evidence([], [job])] == ["JobSuspended"]


def test_what_no_controller_and_no_scheduler_looks_at() -> None:
    def owner(seen: int | None, generation: int, changed: str) -> dict[str, Any]:
        meta = {
            "name": "shop",
            "creationTimestamp": AT,
            "generation": generation,
            "managedFields": [{"time": changed}],
        }
        return {
            "kind": "Deployment",
            "metadata": meta,
            "status": {"observedGeneration": seen} if seen else {},
        }

    assert [one.reason for one in unattended(owner(None, 1, AT), NOW)] == ["NoController"]
    assert [one.reason for one in unattended(owner(1, 2, AT), NOW)] == ["NoController"], (
        "not since it was changed"
    )
    assert unattended(owner(1, 2, "2026-11-02T10:01:38Z"), NOW) == ()
    assert unattended(owner(2, 2, AT), NOW) == ()
    fresh = {"metadata": {"name": "p", "creationTimestamp": AT}, "spec": {"schedulerName": "other"}}
    (found,) = unscheduled([fresh], NOW)
    assert (found.reason, found.text) == ("NoScheduler", "other has not looked at it in 100 s")
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2"}
    assert unscheduled([{**fresh, "status": {"conditions": [waits]}}], NOW) == (), "it says so itself"
    claimed = {"volumes": [{"persistentVolumeClaim": {"claimName": "x"}}]}
    for spec in ({"nodeName": "a"}, claimed, {"resourceClaims": [{"name": "gpu"}]}):
        assert unscheduled([{**fresh, "spec": spec}], NOW) == (), (
            "a node may be chosen while its disk is made"
        )


def test_refusals_that_a_deployment_has_got_over() -> None:
    def refused(kind: str, name: str) -> dict[str, Any]:
        return {
            "type": "Warning",
            "reason": "FailedCreate",
            "message": "x",
            "involvedObject": {"kind": kind, "name": name},
            "lastTimestamp": AT,
        }

    found = evidence(
        [
            refused("ReplicaSet", "shop-7d9c"),
            refused("ReplicaSet", "shop-page-5c"),
            refused("Job", "shop-1-copy"),
        ],
        "shop",
    )
    assert len(workload_conditions.over(deployment(("ReplicaFailure", "True", "FailedCreate")), found)) == 3
    assert len(workload_conditions.over(None, found)) == 3, "no workload yet: nothing is known"
    kept = workload_conditions.over(deployment(("Available", "True", "x")), found)
    assert [one.subject for one in kept] == ["ReplicaSet/shop-page-5c", "Job/shop-1-copy"]


def gateway(accepted: str, programmed: str, reason: str = "x") -> dict[str, Any]:
    found = [
        {"type": kind, "status": status, "reason": reason, "message": "words"}
        for kind, status in (("Accepted", accepted), ("Programmed", programmed))
    ]
    return {
        "kind": "Gateway",
        "metadata": {"name": "shop", "creationTimestamp": AT},
        "status": {"conditions": found},
    }


def route(**status: Any) -> dict[str, Any]:
    return {"kind": "HTTPRoute", "metadata": {"name": "shop", "creationTimestamp": AT}, "status": status}


GOOD = {
    "conditions": [{"type": kind, "status": "True", "reason": kind} for kind in ("Accepted", "ResolvedRefs")]
}
BAD = {
    "conditions": [
        {"type": "Accepted", "status": "True"},
        {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound", "message": "no pool"},
    ]
}


@pytest.mark.parametrize(
    ("gateways", "routed", "phase", "said"),
    [
        ([gateway("True", "True")], [route(parents=[GOOD])], "Ready", ""),
        ([gateway("True", "True")], [route(parents=[BAD, GOOD])], "Ready", ""),
        (
            [gateway("Unknown", "Unknown", "Pending")],
            [route()],
            "Starting",
            "Gateway/shop: no controller has accepted it; HTTPRoute/shop: no controller has accepted it",
        ),
        (
            [gateway("True", "False", "AddressNotAssigned")],
            [route(parents=[GOOD])],
            "Starting",
            "Gateway/shop: AddressNotAssigned: words",
        ),
        (
            [gateway("True", "True")],
            [route(parents=[BAD])],
            "Starting",
            "HTTPRoute/shop: BackendNotFound: no pool",
        ),
    ],
)
def test_a_route_serves_once_its_controller_says_so(
    gateways: Any, routed: Any, phase: str, said: str
) -> None:
    (found,) = routes.route(gateways, routed)
    assert (found.phase, found.detail) == (phase, said)
    assert [one.reason for one in routes.route_evidence(gateways, routed)] == ["NoRoute"] * (
        said.count("; ") + bool(said)
    )


def test_no_route_was_asked_for() -> None:
    assert routes.route([], []) == ()


def test_a_service_is_there_and_picks_pods() -> None:
    def made(**labels: str) -> dict[str, Any]:
        return {"metadata": {"name": "shop", "labels": {}}, "spec": {"selector": labels}}

    ready = running("True", AT)
    ready["metadata"]["labels"] = {"app": "shop"}
    front = running("False", AT)
    front["metadata"]["labels"] = {"app": "gateway"}
    assert routes.service("shop", [made(app="shop")], [ready]) == ()
    assert routes.service("shop", [made(app="gateway")], [ready, front]) == (), (
        "what it picks is only not ready yet"
    )
    assert routes.service("shop", [made(app="other")], []) == (), "nobody is there to be picked"
    for found in ([], [made(app="other")], [made()]):
        (sign,) = routes.service("shop", found, [ready, front])
        assert (sign.reason, sign.subject) == ("ServiceGone", "Service/shop")


def test_what_is_deleted_and_stays() -> None:
    gone = {"deletionTimestamp": AT, "finalizers": ["acme.example/keep", "b/c"]}
    kept = {"kind": "Service", "metadata": {"name": "shop", **gone}}
    (found,) = deletion.evidence([kept], NOW)
    assert (found.subject, found.reason, found.text) == (
        "Service/shop",
        "FinalizerHolds",
        "acme.example/keep, b/c",
    )
    assert deletion.told(kept) == "its finalizer acme.example/keep, b/c keeps it"
    going = {"kind": "Service", "metadata": {"name": "shop", "deletionTimestamp": AT}}
    assert (
        deletion.evidence([going, {"kind": "Service", "metadata": {"name": "x", "finalizers": ["a"]}}], NOW)
        == ()
    )
    drains = {
        "kind": "Pod",
        "metadata": {"name": "p", "deletionTimestamp": "2026-11-02T10:05:00Z", "finalizers": ["a"]},
    }
    assert deletion.evidence([drains], NOW) == (), "its grace period goes on"


def running(ready: str, since: str, started: str = AT) -> dict[str, Any]:
    status = {"name": "engine", "state": {"running": {"startedAt": started}}, "restartCount": 0}
    return {
        "metadata": {"name": "shop-1", "labels": {}, "creationTimestamp": AT},
        "spec": {"nodeName": "n", "containers": [{"name": "engine"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [status],
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}],
        },
    }


def test_a_readiness_that_was_lost_is_no_start() -> None:
    def phase(one: dict[str, Any]) -> str:
        (found,) = replicas([one], lambda _: ())
        return found.phase

    assert phase(running("True", LATER)) == "Ready"
    assert phase(running("False", LATER)) == "Unready"
    assert phase(running("False", AT)) == "Starting", "it has never been ready"
    assert phase(running("False", AT, started=LATER)) == "Starting", "nor in this life of its container"
    starting = running("False", LATER)
    starting["status"]["containerStatuses"][0]["started"] = False
    assert phase(starting) == "Starting", "its startup probe has not held yet"
    found = replicas([running("False", LATER)], lambda _: ())
    probe = {
        "type": "Warning",
        "reason": "Unhealthy",
        "message": "Readiness probe failed: 503",
        "involvedObject": {"kind": "Pod", "name": "shop-1"},
        "lastTimestamp": LATER,
    }
    (told,) = probe_events.unready(found, evidence([probe], "shop"))
    assert told.detail == "it was ready before: Readiness probe failed: 503"
    assert told.since > found[0].started
