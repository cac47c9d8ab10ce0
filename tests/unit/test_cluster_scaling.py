"""The HPA's status as it is told: the guide's own trace, and the links that may be missing."""

from typing import Any

import pytest

from stoker.targets.kubernetes.scaling import read
from stoker.ui.board import scaling as lines

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
            "minReplicas": 1, "maxReplicas": high, "metrics": [{"type": "Pods", "pods": pods}],
        },
        "status": status,
    }  # fmt: skip


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


CASES = [
    (hpa("0", 1, 1), "queue-depth is 0 a replica, 10 wanted: it keeps its minimum of 1"),
    (hpa("17", 1, 2), "queue-depth is 17 a replica, 10 wanted: it goes from 1 to 2"),
    (hpa("17", 2, 2), "queue-depth is 17 a replica, 10 wanted: it keeps 2 for now; replicas that do not serve yet count as idle"),
    (hpa("10900m", 2, 2), "queue-depth is 10.9 a replica, 10 wanted: within 10 %, it keeps 2"),
    (hpa("1", 4, 3), "queue-depth is 1 a replica, 10 wanted: it goes from 4 down to 3"),
    (hpa("1", 4, 4, condition("AbleToScale", "True", "ScaleDownStabilized")), "queue-depth is 1 a replica, 10 wanted: fewer would do, and it waits out the stabilization window"),
    (hpa("70", 5, 5, condition("ScalingLimited", "True", "TooManyReplicas")), "queue-depth is 70 a replica, 10 wanted: more than its maximum of 5 would be needed"),
    (hpa(None, 1, 1, condition("ScalingActive", "False", "FailedGetPodsMetric", "no metrics returned")), "no figure reaches it: no metrics returned"),
    (hpa(None, 0, 0, condition("ScalingActive", "False", "ScalingDisabled")), "it is off: the fleet was scaled to 0"),
    (hpa("1", 1, 1, condition("AbleToScale", "False", "FailedGetScale", "not found")), "it cannot scale: not found"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "said"), CASES)
def test_what_the_hpa_thinks(body: dict[str, Any], said: str) -> None:
    assert read(body).reason == said


def test_its_line_is_that_of_kubectl() -> None:
    by = read(hpa("17", 1, 2))
    _, table, reason = lines(by, by.since + 300)
    head, row = table.splitlines()
    assert head.split() == ["HPA", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"]
    assert row.split() == ["shop", "Deployment/shop", "17/10", "(avg)", "1", "5", "1", "5m"]
    assert "1 to 2" in reason
