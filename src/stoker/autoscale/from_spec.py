"""The file's `scaling:` part as a policy: the very one that the cluster's HPA gets."""

from typing import Any

from stoker.autoscale.hpa_object import read_policy
from stoker.autoscale.policy import Controller, Policy
from stoker.spec.nouns import Scaling
from stoker.spec.scaling import OF_THE_ENDPOINT
from stoker.units import Range


def policy_of(scaling: Scaling, replicas: Range) -> Policy:
    """Metrics under Stoker's own names: what engines report is averaged over pods, what the endpoint reports
    is a total of which each replica is to have so much."""
    spec: dict[str, Any] = {
        "minReplicas": replicas.low,
        "maxReplicas": replicas.high,
        "metrics": [_metric(name, target) for name, target in scaling.metrics.items()],
    }
    return read_policy(spec | ({"behavior": scaling.behavior} if scaling.behavior else {}))


def controller_of(scaling: Scaling) -> Controller:
    """A controller of Kubernetes' defaults, that looks as often as the file says and may scale to zero."""
    return Controller(sync=float(scaling.sync_period), scale_to_zero=True)


def _metric(name: str, target: float) -> dict[str, Any]:
    total = name == OF_THE_ENDPOINT
    part = {
        "metric": {"name": name},
        "target": {"type": "AverageValue", "averageValue": f"{max(1, round(target * 1000))}m"},
    }
    return {"type": "External" if total else "Pods", "external" if total else "pods": part}
