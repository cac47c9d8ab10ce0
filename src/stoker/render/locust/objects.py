"""Locust in a cluster: a Job of its master, which ends with the test, and one of its workers.

Sources: https://docs.locust.io/en/stable/running-distributed.html, .../running-in-docker.html; the image is
published under each release's number, and its user has the id 1000.
"""

import hashlib
import math
from typing import Any

from stoker.render.locust.locustfile import KEY, NAME
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.load_pods import ROLE, job, key_from
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.network import sender_policies
from stoker.traffic.arrivals import ClosedLoop, OpenLoop
from stoker.traffic.workload import Recorded, Workload

IMAGE = "locustio/locust:2.47.0"
PORT = 5557
FOLDER = "/etc/locust"
WAIT = 300  # seconds until all workers are there
MARGIN = 600  # seconds for images, workers, and answers after the last request
DAY = 24 * 3600
RATE, USERS, MOST = 50.0, 500, 64  # requests/s, and users, of one worker; workers


def locust_objects(cluster: Cluster, text: str, workload: Workload) -> tuple[Manifest, ...]:
    """Everything that runs the locustfile `text` in the fleet's namespace. Another workload is another pair
    of Jobs, as a Job cannot change."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    count, deadline = workers(workload), _deadline(workload)
    name = f"{cluster.name}-locust"
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": cluster.meta(name, "locust"),
        "data": {NAME: text},
    }
    volumes = [{"name": "locustfile", "configMap": {"name": name}}]
    parts = {"master": (_master(cluster, count), 1, 0), "worker": (_worker(cluster), count, 6)}
    return (
        Manifest(config),
        *sender_policies(cluster, "locust", PORT),
        _service(cluster, name),
        *(
            job(
                cluster,
                f"{name}-{role}-{digest}",
                "locust",
                container,
                volumes,
                deadline=deadline,
                role=role,
                count=number,
                tries=tries,
            )
            for role, (container, number, tries) in parts.items()
        ),
    )


def workers(workload: Workload) -> int:
    """Processes that send: at least two, so that one core is not all that there is."""
    match workload.arrivals:
        case OpenLoop() as arrivals:
            needed = math.ceil(arrivals.peak / RATE)
        case ClosedLoop(users=users):
            needed = math.ceil(users / USERS)
        case _:
            needed = 2
    return max(2, min(MOST, needed))


def _deadline(workload: Workload) -> int:
    seconds = workload.duration
    if isinstance(workload.prompts, Recorded) and seconds == math.inf:
        seconds = workload.prompts.rows[-1].at / getattr(workload.arrivals, "speed", 1.0)
    return MARGIN + (DAY if seconds == math.inf else math.ceil(seconds))


def _service(cluster: Cluster, name: str) -> Manifest:
    """Where workers find their master; its web UI is not started."""
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": cluster.meta(name, "locust"),
        "spec": {
            "type": "ClusterIP",
            "selector": cluster.selector("locust") | {ROLE: "master"},
            "ports": [{"name": "master", "port": PORT, "targetPort": "master", "protocol": "TCP"}],
        },
    }
    return Manifest(body)


def _master(cluster: Cluster, count: int) -> dict[str, Any]:
    waits = ["--expect-workers", str(count), "--expect-workers-max-wait", str(WAIT)]
    return {
        "name": "master",
        "image": IMAGE,
        "command": ["locust", "--locustfile", f"{FOLDER}/{NAME}", "--headless", "--master", *waits],
        "env": key_from(cluster, KEY),
        "ports": [{"name": "master", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": "locustfile", "mountPath": FOLDER, "readOnly": True}],
    }


def _worker(cluster: Cluster) -> dict[str, Any]:
    """A worker; that requests have failed is told by the master, and is no reason to start it again."""
    there = ["--master-host", f"{cluster.name}-locust", "--master-port", str(PORT)]
    return {
        "name": "worker",
        "image": IMAGE,
        "command": [
            *("locust", "--locustfile", f"{FOLDER}/{NAME}", "--worker", *there),
            *("--exit-code-on-error", "0"),
        ],
        "env": key_from(cluster, KEY),
        "resources": {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "1Gi"}},
        "volumeMounts": [{"name": "locustfile", "mountPath": FOLDER, "readOnly": True}],
    }
