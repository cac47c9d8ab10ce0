"""`stoker lint` on what scales: a scaler beside its workload, other scalers, a quota.

Each variant of a rule on files that have it, and on ones that nearly do.
"""

import json

import pytest
from tests.support.scalers import (
    ENGINE,
    LWS,
    OTHER,
    WAITING,
    Body,
    Case,
    check,
    cpu,
    group,
    hpa,
    ids,
    keda,
    of,
    pod,
    pods,
    quota,
    up,
    vertical,
)

from stoker.advise.lint import lint

CASES: list[Case] = [
    (
        "hpa-target",
        "group",
        [hpa(kind="StatefulSet", api="extensions/v1beta1")],
        [hpa(kind="StatefulSet", api="apps.kruise.io/v1beta1")],
    ),
    (
        "two-scalers",
        "both",
        [ENGINE, hpa(), hpa(name="w")],
        [ENGINE, of(hpa(), namespace="a"), of(hpa(name="w"), namespace="b")],
    ),
    (
        "two-scalers",
        "both",
        [ENGINE, hpa(), of(hpa(name="w"), namespace="default")],
        [ENGINE, hpa(), of(hpa(name="w"), namespace="b")],
    ),
    ("two-scalers", "both", [ENGINE, hpa(), keda()], [ENGINE, of(hpa(), name="keda-hpa-v"), keda()]),
    (
        "two-scalers",
        "both",
        [ENGINE, keda(), of(keda(), name="w")],
        [
            ENGINE,
            keda(),
            of(keda(scaleTargetRef={"name": "w", "kind": "StatefulSet"}), name="w", namespace="b"),
        ],
    ),
    (
        "two-scalers",
        "both",
        [ENGINE, hpa(), keda()],
        [
            ENGINE,
            hpa(),
            keda(advanced={"horizontalPodAutoscalerConfig": {"name": "v", "behavior": up(1, 300)}}),
        ],
    ),
    (
        "two-scalers",
        "vertical",
        [OTHER, hpa(cpu()), vertical()],
        [OTHER, hpa(cpu()), vertical(updatePolicy={"updateMode": "Off"})],
    ),
    (
        "two-scalers",
        "vertical",
        [OTHER, hpa(cpu()), vertical(updatePolicy={"updateMode": "InPlaceOrRecreate"})],
        [ENGINE, hpa(), vertical()],
    ),
    (
        "two-scalers",
        "vertical",
        [
            OTHER,
            hpa(cpu()),
            vertical(
                resourcePolicy={"containerPolicies": [{"containerName": "*", "controlledResources": ["cpu"]}]}
            ),
        ],
        [
            OTHER,
            hpa(cpu()),
            vertical(
                resourcePolicy={
                    "containerPolicies": [{"containerName": "*", "controlledResources": ["memory"]}]
                }
            ),
        ],
    ),
    ("hpa-target", "missing", [ENGINE, hpa(scaleTargetRef=None)], [ENGINE, hpa()]),
    (
        "hpa-target",
        "unknown",
        [ENGINE, hpa(scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"})],
        [hpa(scaleTargetRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"})],
    ),
    (
        "hpa-target",
        "unknown",
        [ENGINE, keda(scaleTargetRef={"name": "w"})],
        [ENGINE, keda(scaleTargetRef={"name": "w", "kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1"})],
    ),
    ("hpa-target", "group", [ENGINE, hpa(api="")], [ENGINE, keda()]),
    ("hpa-target", "group", [ENGINE, hpa(api="v1")], [group(), hpa(**LWS)]),
    ("hpa-target", "no scale", [hpa(kind="DaemonSet")], [hpa(kind="StatefulSet")]),
    (
        "hpa-target",
        "owned",
        [ENGINE, hpa(scaleTargetRef={"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "v-7d9f8b6c5d"})],
        [hpa(scaleTargetRef={"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "v-backends"})],
    ),
    ("hpa-replicas", "", [pod(replicas=2), hpa()], [ENGINE, hpa()]),
    (
        "hpa-replicas",
        "",
        [pod(replicas=2), keda()],
        [of(pod(replicas=2), namespace="a"), of(keda(), namespace="b")],
    ),
    ("hpa-api", "", [ENGINE, hpa() | {"apiVersion": "autoscaling/v2beta2"}], [ENGINE, hpa()]),
    ("hpa-quota", "devices", [ENGINE, hpa(), quota(gpu=2)], [ENGINE, hpa(), quota(gpu=3)]),
    ("hpa-quota", "devices", [group(), hpa(**LWS), quota(gpu=47)], [group(), hpa(**LWS), quota(gpu=48)]),
    (
        "hpa-quota",
        "devices",
        [ENGINE, keda(maxReplicaCount=None), quota(gpu="16")],
        [ENGINE, keda(maxReplicaCount=None), of(quota(gpu="16"), namespace="b")],
    ),
    ("hpa-quota", "pods", [group(), hpa(**LWS), quota(pods="5")], [ENGINE, hpa(), quota(pods="5")]),
    ("hpa-bounds", "replicas", [ENGINE, hpa(minReplicas=4)], [ENGINE, hpa(minReplicas=3)]),
    ("hpa-bounds", "replicas", [ENGINE, keda(minReplicaCount=4)], [ENGINE, keda(minReplicaCount=3)]),
    ("hpa-bounds", "most", [ENGINE, hpa(maxReplicas=0)], [ENGINE, hpa(maxReplicas="{{ .Values.most }}")]),
    (
        "hpa-bounds",
        "idle",
        [ENGINE, keda(idleReplicaCount=1)],
        [ENGINE, keda("sum(gateway_requests)", idleReplicaCount=0)],
    ),
    ("hpa-bounds", "target", [ENGINE, hpa(pods(WAITING, "0"))], [ENGINE, hpa(pods(WAITING, "1m"))]),
    ("hpa-bounds", "target", [ENGINE, keda(threshold="-1")], [ENGINE, keda(threshold="0.1")]),
    (
        "hpa-bounds",
        "pods",
        [
            ENGINE,
            hpa(
                {
                    "type": "Pods",
                    "pods": {"metric": {"name": WAITING}, "target": {"type": "Value", "value": 5}},
                }
            ),
        ],
        [ENGINE, hpa(pods())],
    ),
    (
        "hpa-disabled",
        "",
        [ENGINE, hpa(behavior={way: {"selectPolicy": "Disabled"} for way in ("scaleUp", "scaleDown")})],
        [ENGINE, hpa(behavior={"scaleDown": {"selectPolicy": "Disabled"}})],
    ),
]


@pytest.mark.parametrize(("rule", "case", "wrong", "right"), CASES, ids=ids(CASES))
def test_a_variant_is_found_where_it_is_and_nowhere_else(
    rule: str, case: str, wrong: list[Body], right: list[Body]
) -> None:
    check(rule, case, wrong, right)


def test_a_second_scaler_of_another_file_may_be_the_other_choice() -> None:
    texts = {"a.yaml": json.dumps(hpa()), "b.yaml": json.dumps(of(keda(), name="w"))}
    (one,) = [one for one in lint(texts) if one.rule == "lint-two-scalers"]
    assert (one.severity, one.at.split(":")[0]) == ("warning", "b.yaml")
    assert "a.yaml:1:" in one.why


def test_a_patch_of_another_files_scaler_is_no_scaler() -> None:
    patch = hpa(metrics=None, scaleTargetRef=None, behavior=None, maxReplicas=8)
    assert lint({"m.yaml": json.dumps(patch)}) == ()
