"""The engine: a Deployment, or a LeaderWorkerSet where a replica stands on several nodes.

Source: https://github.com/kubernetes-sigs/lws, LeaderWorkerSet v1.
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.pod import pod_template
from stoker.render.manifests.probes import start_budget

LWS = "leaderworkerset.x-k8s.io/v1"


def workload(cluster: Cluster) -> Manifest:
    """The object that keeps the replicas; without `replicas` where an HPA moves them."""
    return _group(cluster) if cluster.plan.nodes > 1 else _deployment(cluster)


def _replicas(cluster: Cluster) -> dict[str, Any]:
    return {} if cluster.scaled else {"replicas": cluster.spec.replicas.low}


def _rolling(cluster: Cluster) -> dict[str, Any]:
    """One more before one less where GPUs are spare; else one less first, which no full cluster can
    deadlock."""
    return {"maxSurge": 1, "maxUnavailable": 0} if cluster.ask.surge else {"maxSurge": 0, "maxUnavailable": 1}


def _deployment(cluster: Cluster) -> Manifest:
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": cluster.meta(component="engine"),
        "spec": {
            **_replicas(cluster),
            "selector": {"matchLabels": cluster.selector("engine")},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling(cluster)},
            "progressDeadlineSeconds": start_budget(cluster) + 600,
            "template": pod_template(cluster),
        },
    }
    return Manifest(body)


def _group(cluster: Cluster) -> Manifest:
    body = {
        "apiVersion": LWS,
        "kind": "LeaderWorkerSet",
        "metadata": cluster.meta(component="engine"),
        "spec": {
            **_replicas(cluster),
            "startupPolicy": "LeaderCreated",
            # Ranks find their leader under a headless Service. The shared one would have the set's name,
            # which is our
            # Service's with its own address: with one a group, named by its leader, the two do not meet.
            "networkConfig": {"subdomainPolicy": "UniquePerReplica"},
            "rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": _rolling(cluster)},
            "leaderWorkerTemplate": {
                "size": cluster.plan.nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": pod_template(cluster, "leader"),
                "workerTemplate": pod_template(cluster, "worker"),
            },
        },
    }
    return Manifest(body)


def disruption_budget(cluster: Cluster) -> Manifest:
    """One pod at a time may be drained with its node: of a group, whichever goes takes its replica along."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": cluster.meta(),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": cluster.selector("engine")}},
    }
    return Manifest(body)
