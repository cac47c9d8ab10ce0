"""What stands around a fleet's pods, read as the API has it: nodes, workloads, claims, ways in, what is
deleted and stays."""

from typing import Any

import pytest

from stoker.errors import UsageError
from stoker.targets.kubernetes import deletion, nodes, probe_events, routes, volumes, workload_conditions
from stoker.targets.kubernetes.pods import evidence, replicas, unattended, unscheduled

NOW = 1_793_613_600.0 + 100  # a hundred seconds after AT
AT, LATER = "2026-11-02T10:00:00Z", "2026-11-02T10:01:30Z"
GPU = "nvidia.com/gpu"
LABEL = "cloud.google.com/gke-accelerator"


def node(name: str, gpus: str = "4", label: str = "nvidia-l4", **more: Any) -> dict[str, Any]:
    conditions = [
        {
            "type": "Ready",
            "status": more.pop("ready", "True"),
            "message": "Kubelet stopped posting node status.",
        }
    ]
    allocatable = {GPU: gpus, "cpu": "46", "memory": "180Gi"}
    return {
        "metadata": {"name": name, "labels": {LABEL: label}},
        "spec": more,
        "status": {"allocatable": allocatable, "conditions": conditions},
    }


def pod(gpus: str = "1", selector: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    unscheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2"}
    asked = {
        "requests": {"cpu": more.pop("cpu", "4"), "memory": more.pop("memory", "16Gi"), GPU: gpus},
        "limits": {GPU: gpus},
    }
    spec = {
        "nodeSelector": selector or {LABEL: "nvidia-l4"},
        "containers": [{"name": "engine", "resources": asked}],
    }
    return {"metadata": {"name": "shop-1"}, "spec": spec | more, "status": {"conditions": [unscheduled]}}


DEDICATED = {"key": "dedicated", "value": "ml", "effect": "NoSchedule"}
ONES: list[tuple[dict[str, Any], list[dict[str, Any]], list[tuple[str, str]]]] = [
    (pod(), [node("a"), node("b")], []),
    (pod(), [], []),
    (pod("8"), [node("a"), node("b", "2")], [("NodesTooSmall", f"8 {GPU} asked for, 4 on the largest")]),
    (
        pod(memory="200Gi"),
        [node("a")],
        [("NodesTooSmall", "200.0 GiB of memory asked for, 180.0 GiB on the largest")],
    ),
    (pod(cpu="64"), [node("a")], [("NodesTooSmall", "64 cpu asked for, 46 on the largest")]),
    (pod(), [node("a", "0")], [("NodesWithoutDevice", f"{GPU} on a")]),
    (
        pod(selector={LABEL: "nvidia-h100"}),
        [node("a"), node("b")],
        [("NoSuchNode", f"the GPU that was asked for, {LABEL}=nvidia-h100; there are: nvidia-l4 (2)")],
    ),
    (
        pod(selector={"acme/x": "y"}),
        [node("a")],
        [("NoSuchNode", "the label acme/x=y; there are: no node with it")],
    ),
    (pod(), [node("a", unschedulable=True), node("b", unschedulable=True)], [("NodesCordoned", "a, b")]),
    (pod(), [node("a", unschedulable=True), node("b")], [("SomeNodesCordoned", "a")]),
    (pod(), [node("a", ready="Unknown")], [("NodesNotReady", "a: Kubelet stopped posting node status.")]),
    (pod(), [node("a", taints=[DEDICATED])], [("NodesTainted", "a had untolerated taint {dedicated: ml}")]),
    (pod(tolerations=[{"key": "dedicated", "operator": "Exists"}]), [node("a", taints=[DEDICATED])], []),
    (pod(tolerations=[{"key": "dedicated", "value": "ml"}]), [node("a", taints=[DEDICATED])], []),
    (
        pod(tolerations=[{"key": "dedicated", "value": "other"}]),
        [node("a", taints=[DEDICATED])],
        [("NodesTainted", "a had untolerated taint {dedicated: ml}")],
    ),
    (pod(), [node("a", taints=[{**DEDICATED, "effect": "PreferNoSchedule"}])], []),
]


@pytest.mark.parametrize(("one", "there", "said"), ONES)
def test_what_keeps_a_pod_off_the_nodes(one: Any, there: list[Any], said: list[tuple[str, str]]) -> None:
    found = nodes.evidence([one], there)
    assert [(sign.reason, sign.text) for sign in found] == said
    assert all(sign.subject == "Pod/shop-1" for sign in found)


def test_a_node_affinity() -> None:
    def asks(operator: str, *values: str) -> dict[str, Any]:
        term = {"matchExpressions": [{"key": LABEL, "operator": operator, "values": list(values)}]}
        rule = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
        return pod(selector={}, affinity={"nodeAffinity": rule}) | {}

    there = [node("a", unschedulable=True)]
    for good in (asks("In", "nvidia-l4"), asks("NotIn", "x"), asks("Exists")):
        good["spec"]["nodeSelector"] = {}
        assert [one.reason for one in nodes.evidence([good], there)] == ["NodesCordoned"]
    for bad in (asks("In", "x"), asks("DoesNotExist")):
        bad["spec"]["nodeSelector"] = {}
        assert [one.reason for one in nodes.evidence([bad], there)] == ["NoSuchNode"]


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
    assert unscheduled([pod() | {"metadata": fresh["metadata"]}], NOW) == (), (
        "it waits for a node, and says so"
    )
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


class Api:
    """Objects of no namespace, by kind and name; what is not named may not be looked at."""

    def __init__(self, **kinds: dict[str, Any]) -> None:
        self.kinds = kinds

    def get(self, kind: str, _: None, name: str) -> Any:
        if kind not in self.kinds:
            raise UsageError("forbidden", rule="kube-forbidden")
        return self.kinds[kind].get(name)


def claim(storage: str | None = "fast", selected: bool = True, phase: str = "Pending") -> dict[str, Any]:
    notes = {volumes.NODE: "a"} if selected else {}
    spec = {"storageClassName": storage} if storage else {}
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "shop-1", "creationTimestamp": AT, "annotations": notes},
        "spec": spec,
        "status": {"phase": phase},
    }


LATE = {"volumeBindingMode": "WaitForFirstConsumer", "provisioner": "pd.csi.storage.gke.io"}
TREE = {"provisioner": "kubernetes.io/gce-pd"}
NONE = {"provisioner": "kubernetes.io/no-provisioner"}
DRIVER: dict[str, Any] = {"pd.csi.storage.gke.io": {}}
CLAIMS: list[tuple[dict[str, Any], Api, list[tuple[str, str]]]] = [
    (claim(), Api(StorageClass={"fast": LATE}, CSIDriver={}), [("NoDriver", "no CSI driver of that name")]),
    (
        claim(),
        Api(StorageClass={"fast": TREE}, CSIDriver={}),
        [("NoDriver", "is served by pd.csi.storage.gke.io")],
    ),
    (claim(), Api(StorageClass={"fast": NONE}, CSIDriver={}), [("NoDriver", "no free volume fits")]),
    (
        claim(),
        Api(StorageClass={"fast": LATE}, CSIDriver=DRIVER),
        [("NoDriver", "is registered and has made nothing")],
    ),
    (
        claim(),
        Api(StorageClass={}, CSIDriver={}),
        [("NoClass", 'storageclass.storage.k8s.io "fast" not found')],
    ),
    (claim(selected=False), Api(StorageClass={"fast": LATE}, CSIDriver={}), []),
    (claim(phase="Bound"), Api(StorageClass={}, CSIDriver={}), []),
    (claim(), Api(), []),
    (claim(), Api(StorageClass={"fast": LATE}), []),
    (claim(None), Api(StorageClass={}, CSIDriver={}), []),
]


@pytest.mark.parametrize(("one", "api", "said"), CLAIMS)
def test_a_claim_that_nobody_serves(one: Any, api: Any, said: list[tuple[str, str]]) -> None:
    found = volumes.unmade(api, [one], [], NOW)
    assert [sign.reason for sign in found] == [reason for reason, _ in said]
    assert all(text in sign.text for sign, (_, text) in zip(found, said, strict=True))
    young = {**one, "metadata": {**one["metadata"], "creationTimestamp": "2026-11-02T10:01:38Z"}}
    assert volumes.unmade(api, [young], [], NOW) == (), "a driver that runs takes a moment"


def test_a_snapshot_that_nobody_takes() -> None:
    one = {
        "kind": "VolumeSnapshot",
        "metadata": {"name": "s", "creationTimestamp": AT},
        "spec": {"volumeSnapshotClassName": "c"},
    }
    (found,) = volumes.unmade(Api(VolumeSnapshotClass={"c": {}}), [], [one], NOW)  # type: ignore[arg-type]
    assert (found.reason, found.text) == ("NoSnapshotter", "no controller has looked at it in 100 s")
    (found,) = volumes.unmade(Api(VolumeSnapshotClass={}), [], [one], NOW)  # type: ignore[arg-type]
    assert "VolumeSnapshotClass c is not there" in found.text
    assert volumes.unmade(Api(), [], [{**one, "status": {"readyToUse": False}}], NOW) == ()  # type: ignore[arg-type]


def test_the_claim_of_a_snapshot_is_a_stage() -> None:
    one = {
        "metadata": {"creationTimestamp": AT},
        "spec": {"dataSource": {"name": "s"}},
        "status": {"phase": "Bound"},
    }
    assert [stage.phase for stage in volumes.stage([one, claim()])] == ["Ready"]
    assert [stage.phase for stage in volumes.stage([{**one, "status": {}}])] == ["Loading"]
    assert volumes.stage([claim()]) == (), "a copy's own claim is no stage"


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
