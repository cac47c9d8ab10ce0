"""What keeps a pod off a cluster's nodes, read as the API has it."""

from typing import Any

import pytest

from stoker.targets.kubernetes import nodes

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
