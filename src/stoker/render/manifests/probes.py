"""Startup, readiness and liveness: a budget for loading and warming up from the plan, then health, then
progress."""

from math import ceil
from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.configmap import FOLDER

PERIOD = 10
SETTLE = 600  # seconds for imports, compiling, graphs and NCCL, on top of the loading
# seconds for the first request of each kind: 11 s seen for any on a GPU, 19 s for the first with logprobs
WARM_UP = 60
# Bytes a second that a loading pod reads at least; estimates on the safe side, as the budget is doubled.
RATES = {"disk": 200e6, "gcsfuse": 150e6, "stream": 200e6, "hub": 40e6}


def probes(cluster: Cluster, role: str) -> dict[str, Any]:
    """The three probes of a pod that has the API; a worker's ranks have none: their process ends with
    them."""
    if role == "worker":
        return {}
    health = {"path": "/health", "port": "http"}
    out: dict[str, Any] = {
        "startupProbe": {
            "httpGet": health,
            "periodSeconds": PERIOD,
            "timeoutSeconds": 5,
            "failureThreshold": ceil(start_budget(cluster) / PERIOD),
        },
        "readinessProbe": {"httpGet": health, "periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
    }
    if cluster.spec.engine.kind == "simulated":
        out["livenessProbe"] = {
            "httpGet": health,
            "periodSeconds": 20,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        }
    else:
        argv = ["python3", f"{FOLDER}/alive.py", str(cluster.port), str(int(cluster.spec.stall_timeout))]
        out["livenessProbe"] = {
            "exec": {"command": argv},
            "periodSeconds": 20,
            "timeoutSeconds": 15,
            "failureThreshold": 3,
        }
    return out


def start_budget(cluster: Cluster) -> int:
    """Seconds that a start may take: twice the loading at a slow rate, and what follows it."""
    return int(SETTLE + WARM_UP + 2 * cluster.weight_bytes / RATES[cluster.weights])
