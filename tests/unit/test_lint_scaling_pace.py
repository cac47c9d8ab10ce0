"""`stoker lint` on what scales: how fast, from zero, with a fallback.

Each variant of a rule on files that have it, and on ones that nearly do.
"""

import pytest
from tests.support.scalers import (
    ENGINE,
    OTHER,
    RANGED,
    TOTAL,
    WAITING,
    Body,
    Case,
    alert,
    check,
    cpu,
    down,
    external,
    hpa,
    ids,
    keda,
    pods,
    slow_start,
    up,
)


def shares(select: str, pods: int = 0) -> Body:
    """Upwards by percent, and by pods where so many are said."""
    policies = [{"type": "Percent", "value": 100, "periodSeconds": 60}]
    policies += [{"type": "Pods", "value": pods, "periodSeconds": 60}] if pods else []
    return {"scaleUp": {"selectPolicy": select, "policies": policies}, "scaleDown": {}}


CASES: list[Case] = [
    (
        "hpa-window",
        "short",
        [ENGINE, hpa(external(TOTAL), behavior=down(0))],
        [ENGINE, hpa(external("inferno_desired_replicas"), behavior=down(0))],
    ),
    ("hpa-behavior", "", [ENGINE, hpa(behavior=None)], [OTHER, hpa(behavior=None)]),
    ("hpa-behavior", "", [hpa(behavior=None)], [hpa(cpu(), behavior=None)]),
    ("hpa-pace", "", [slow_start(), keda(behavior=up())], [slow_start(), keda(behavior=up(1, 600))]),
    ("hpa-pace", "", [slow_start(), keda(advanced=None)], [ENGINE, keda(advanced=None)]),
    (
        "hpa-pace",
        "",
        [slow_start(), hpa(external(TOTAL), behavior=up())],
        [slow_start(), hpa(pods(), behavior=up())],
    ),
    (
        "hpa-pace",
        "",
        [slow_start(), keda(behavior=up())],
        [slow_start(), keda(behavior=up(stabilizationWindowSeconds=60))],
    ),
    ("hpa-window", "short", [ENGINE, hpa(behavior=down(30))], [ENGINE, hpa(behavior=down(60))]),
    (
        "hpa-window",
        "short",
        [ENGINE, hpa(behavior=down(0))],
        [ENGINE, hpa(behavior=down(0, policies=[{"type": "Pods", "value": 1, "periodSeconds": 120}]))],
    ),
    ("hpa-window", "short", [ENGINE, hpa(behavior=down(0))], [OTHER, hpa(behavior=down(0))]),
    ("hpa-window", "range", [ENGINE, keda(RANGED)], [ENGINE, keda(RANGED.replace("15m", "5m"))]),
    (
        "scale-from-zero",
        "engines",
        [ENGINE, keda(minReplicaCount=None)],
        [ENGINE, keda(minReplicaCount=None, query=f"sum({WAITING}) + sum(gateway_requests)")],
    ),
    (
        "scale-from-zero",
        "engines",
        [ENGINE, keda(f"sum({WAITING}) or vector(0)", minReplicaCount=0)],
        [ENGINE, keda(f"sum({WAITING}) or vector(1)", minReplicaCount=0)],
    ),
    ("scale-from-zero", "engines", [ENGINE, keda(idleReplicaCount=0)], [ENGINE, keda()]),
    (
        "scale-from-zero",
        "engines",
        [ENGINE, hpa(external(TOTAL), minReplicas=0)],
        [ENGINE, hpa(external("gateway_requests"), minReplicas=0)],
    ),
    (
        "scale-from-zero",
        "resources",
        [OTHER, keda(minReplicaCount=None, triggers=[{"type": "cpu", "metadata": {"value": "60"}}])],
        [OTHER, keda(triggers=[{"type": "cpu", "metadata": {"value": "60"}}])],
    ),
    (
        "scale-from-zero",
        "percent",
        [ENGINE, hpa(external("gateway_requests"), minReplicas=0, behavior=shares("Max"))],
        [ENGINE, hpa(external("gateway_requests"), minReplicas=0, behavior=shares("Max", pods=1))],
    ),
    (
        "scale-from-zero",
        "percent",
        [ENGINE, hpa(external("gateway_requests"), minReplicas=0, behavior=shares("Min", pods=1))],
        [ENGINE, hpa(external("gateway_requests"), minReplicas=1, behavior=shares("Min", pods=1))],
    ),
    ("scale-from-zero", "pods", [ENGINE, hpa(minReplicas=0)], [ENGINE, hpa(minReplicas=1)]),
    (
        "keda-cooldown",
        "",
        [ENGINE, keda(cooldownPeriod=60)],
        [ENGINE, keda("sum(gateway_requests)", cooldownPeriod=60, minReplicaCount=0)],
    ),
    (
        "keda-fallback",
        "range",
        [
            ENGINE,
            keda(fallback={"failureThreshold": 3, "replicas": 5}),
            alert("keda_scaler_errors_total > 0"),
        ],
        [
            ENGINE,
            keda(fallback={"failureThreshold": 3, "replicas": 3}),
            alert("keda_scaler_errors_total > 0"),
        ],
    ),
    (
        "keda-fallback",
        "silent",
        [ENGINE, keda(fallback={"failureThreshold": 3, "replicas": 2})],
        [
            ENGINE,
            keda(fallback={"failureThreshold": 3, "replicas": 2}),
            alert("rate(keda_scaler_detail_errors_total[5m]) > 0"),
        ],
    ),
    (
        "keda-fallback",
        "value",
        [
            ENGINE,
            keda(f"avg({WAITING})", how="Value", fallback={"failureThreshold": 3, "replicas": 2}),
            alert("keda_scaler_errors_total > 0"),
        ],
        [
            ENGINE,
            keda(fallback={"failureThreshold": 3, "replicas": 2}),
            alert("keda_scaler_errors_total > 0"),
        ],
    ),
    (
        "keda-fallback",
        "resources",
        [
            OTHER,
            keda(
                triggers=[{"type": "cpu", "metadata": {"value": "60"}}],
                fallback={"failureThreshold": 3, "replicas": 2},
            ),
        ],
        [OTHER, keda()],
    ),
]


@pytest.mark.parametrize(("rule", "case", "wrong", "right"), CASES, ids=ids(CASES))
def test_a_variant_is_found_where_it_is_and_nowhere_else(
    rule: str, case: str, wrong: list[Body], right: list[Body]
) -> None:
    check(rule, case, wrong, right)
