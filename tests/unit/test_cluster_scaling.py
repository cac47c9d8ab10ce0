"""The HPA's status as it is told: the guide's own trace, and the links that may be missing."""

import json
from pathlib import Path
from typing import Any

import pytest

from stoker.targets.kubernetes.pods import conditions
from stoker.targets.kubernetes.scaling import read
from stoker.ui.board import scaling as lines

DATA = Path(__file__).resolve().parents[1] / "data/hpa/told.jsonl"
METRIC = "prometheus.googleapis.com|vllm:num_requests_waiting|gauge"


def hpa(
    value: str | None, now: int, wanted: int, *conditions: dict[str, str], high: int = 5
) -> dict[str, Any]:
    pods = {"metric": {"name": METRIC}, "target": {"type": "AverageValue", "averageValue": "10"}}
    status: dict[str, Any] = {
        "currentReplicas": now,
        "desiredReplicas": wanted,
        "conditions": list(conditions),
    }
    if value is not None:
        current = {"metric": {"name": METRIC}, "current": {"averageValue": value}}
        status["currentMetrics"] = [{"type": "Pods", "pods": current}]
    return {
        "metadata": {"name": "shop", "creationTimestamp": "2026-11-24T10:00:00Z"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"},
            "minReplicas": 1,
            "maxReplicas": high,
            "metrics": [{"type": "Pods", "pods": pods}],
        },
        "status": status,
    }


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


CASES = [
    (hpa("0", 1, 1), "queue-depth is 0 a replica, 10 wanted: it keeps its minimum of 1"),
    (hpa("17", 1, 2), "queue-depth is 17 a replica, 10 wanted: it goes from 1 to 2"),
    (
        hpa("17", 2, 2),
        "queue-depth is 17 a replica, 10 wanted: it keeps 2 for now; replicas that do not serve yet count as "
        "idle",
    ),
    (hpa("10900m", 2, 2), "queue-depth is 10.9 a replica, 10 wanted: within 10 %, it keeps 2"),
    (hpa("1", 4, 3), "queue-depth is 1 a replica, 10 wanted: it goes from 4 down to 3"),
    (
        hpa("1", 4, 4, condition("AbleToScale", "True", "ScaleDownStabilized")),
        "queue-depth is 1 a replica, 10 wanted: fewer would do, and it waits out the stabilization window",
    ),
    (
        hpa("70", 5, 5, condition("ScalingLimited", "True", "TooManyReplicas")),
        "queue-depth is 70 a replica, 10 wanted: more than its maximum of 5 would be needed",
    ),
    (
        hpa(None, 1, 1, condition("ScalingActive", "False", "FailedGetPodsMetric", "no metrics returned")),
        "no figure reaches it: no metrics returned",
    ),
    (
        hpa(None, 0, 0, condition("ScalingActive", "False", "ScalingDisabled")),
        "it is off: the fleet was scaled to 0",
    ),
    (
        hpa("1", 1, 1, condition("AbleToScale", "False", "FailedGetScale", "not found")),
        "it cannot scale: not found",
    ),
]


@pytest.mark.parametrize(("body", "said"), CASES)
def test_what_the_hpa_thinks(body: dict[str, Any], said: str) -> None:
    assert read(body).reason == said


RECORDED = [json.loads(line) for line in DATA.read_text().splitlines()]


@pytest.mark.parametrize("row", RECORDED, ids=[f"{n}-{row['id']}" for n, row in enumerate(RECORDED)])
def test_what_a_real_controller_decided(row: dict[str, Any]) -> None:
    """Statuses that kube-controller-manager 1.36.2 wrote, each with the sentence for it."""
    found = read({"metadata": {"name": "x"}, "spec": row["spec"], "status": row["status"]})
    assert found.reason == row["said"]
    conditions = {one["type"]: one for one in row["status"]["conditions"]}
    if conditions.get("ScalingActive", {}).get("status") == "False":
        assert found.wanted == found.now, "what it wanted before it lost its figure is not what it wants"
        assert "maximum" not in found.reason
        assert "rate" not in found.reason
    elif found.wanted != found.now:
        assert str(found.wanted) in found.reason
    if "would be needed" in found.reason:
        assert any(one.value > one.target for one in found.metrics if one.value and one.target)


ACTIVE = condition("ScalingActive", "True", "ValidMetricFound")


@pytest.mark.parametrize(
    ("conditions", "behavior", "soon"),
    [
        ((), {}, ""),
        ((condition("AbleToScale", "True", "ScaleDownStabilized"),), {}, "fewer within 315 s"),
        (
            (condition("AbleToScale", "True", "ScaleDownStabilized"),),
            {"scaleDown": {"stabilizationWindowSeconds": 60}},
            "fewer within 75 s",
        ),
        (
            (condition("AbleToScale", "True", "ScaleUpStabilized"),),
            {"scaleUp": {"stabilizationWindowSeconds": 30}},
            "more within 45 s",
        ),
        (
            (condition("ScalingLimited", "True", "ScaleDownLimit"),),
            {"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}]}},
            "fewer within 135 s",
        ),
        (
            (condition("ScalingLimited", "True", "ScaleDownLimit"),),
            {"scaleDown": {"selectPolicy": "Disabled"}},
            "",
        ),
        ((condition("ScalingLimited", "True", "TooManyReplicas"),), {}, ""),
    ],
)
def test_what_it_will_do_next_and_by_when(
    conditions: tuple[dict[str, str], ...], behavior: dict[str, Any], soon: str
) -> None:
    body = hpa("1", 4, 4, ACTIVE, *conditions)
    body["spec"]["behavior"] = behavior
    assert read(body).soon == (f"{soon}, if the figures stay" if soon else "")


def test_a_fleet_that_keda_put_to_sleep_is_not_off() -> None:
    body = hpa(None, 0, 0, condition("ScalingActive", "False", "ScalingDisabled"))
    body["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "shop"}]
    assert read(body).reason.startswith("it sleeps at 0: KEDA wakes it")


def test_a_share_among_no_replicas_is_no_figure() -> None:
    """Kubernetes 1.36 shows the least of all numbers there."""
    assert read(hpa("-9223372036854775808m", 0, 0, ACTIVE)).metrics[0].value is None


def test_a_stale_limit_is_not_told() -> None:
    """Above its maximum when the figure was lost: the condition stays True, and says nothing of now."""
    missing = condition(
        "ScalingActive",
        "False",
        "FailedGetPodsMetric",
        "the HPA was unable to compute the replica count: unable to get metric x: no metrics returned",
    )
    body = hpa(None, 5, 5, missing, condition("ScalingLimited", "True", "TooManyReplicas"))
    assert read(body).reason == "no figure reaches it: unable to get metric x: no metrics returned"
    assert [one.reason for one in conditions([body])] == ["FailedGetPodsMetric"]
    active = condition("ScalingActive", "True", "ValidMetricFound")
    body = hpa("70", 5, 5, active, condition("ScalingLimited", "True", "TooManyReplicas"))
    assert [one.reason for one in conditions([body])] == ["TooManyReplicas"]
    for reason in ("ScaleUpLimit", "ScaleDownLimit", "TooFewReplicas"):
        assert conditions([hpa("70", 5, 5, active, condition("ScalingLimited", "True", reason))]) == ()


def test_its_line_is_that_of_kubectl() -> None:
    by = read(hpa("17", 1, 2))
    _, table, reason = lines(by, by.since + 300)
    head, row = table.splitlines()
    assert head.split() == ["HPA", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"]
    assert row.split() == ["shop", "Deployment/shop", "17/10", "(avg)", "1", "5", "1", "5m"]
    assert "1 to 2" in reason
