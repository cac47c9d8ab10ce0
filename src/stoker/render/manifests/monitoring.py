"""Who scrapes the engine's /metrics, and what it alerts on: managed Prometheus, or a Prometheus operator's.

Every series gets the label `fleet`, by which rules and dashboards find it, here as on one machine.
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.probes import start_budget
from stoker.render.panels import Scope
from stoker.render.rules import AlertObjectives, groups, objectives

INTERVAL = "15s"
FLEET = "app.kubernetes.io/instance"


def monitoring(cluster: Cluster) -> tuple[Manifest, ...]:
    """PodMonitoring or PodMonitor, in the fleet's own namespace, where alone it selects pods."""
    if cluster.metrics == "none":
        return ()
    spec: dict[str, Any] = {"selector": {"matchLabels": cluster.serving}}
    if cluster.metrics == "stackdriver":
        version, kind = "monitoring.googleapis.com/v1", "PodMonitoring"
        spec["endpoints"] = [{"port": "http", "path": "/metrics", "interval": INTERVAL}]
        spec["targetLabels"] = {"metadata": ["pod", "container"], "fromPod": [{"from": FLEET, "to": "fleet"}]}
    else:
        version, kind = "monitoring.coreos.com/v1", "PodMonitor"
        label = "__meta_kubernetes_pod_label_" + FLEET.replace(".", "_").replace("/", "_")
        named = [{"sourceLabels": [label], "targetLabel": "fleet"}]
        spec["podMetricsEndpoints"] = [
            {"port": "http", "path": "/metrics", "interval": INTERVAL, "relabelings": named}
        ]
    scraped = {"apiVersion": version, "kind": kind, "metadata": _meta(cluster), "spec": spec}
    return (Manifest(scraped), _rules(cluster))


def _rules(cluster: Cluster) -> Manifest:
    """Rules of managed Prometheus, or the operator's PrometheusRule: both hold the same groups."""
    managed = cluster.metrics == "stackdriver"
    version = "monitoring.googleapis.com/v1" if managed else "monitoring.coreos.com/v1"
    kind = "Rules" if managed else "PrometheusRule"
    spec = {"groups": [{"interval": "30s", **one} for one in groups(scope(cluster), promise(cluster))]}
    return Manifest({"apiVersion": version, "kind": kind, "metadata": _meta(cluster), "spec": spec})


def _meta(cluster: Cluster) -> dict[str, Any]:
    """With the labels by which an operator's Prometheus selects what is its own."""
    meta = cluster.meta()
    if cluster.metrics == "prometheus":
        meta["labels"] = dict(cluster.ask.monitoring.labels) | meta["labels"]
    return meta


def scope(cluster: Cluster) -> Scope:
    """The fleet, as its dashboards and rules select it."""
    gpus = cluster.spec.engine.kind != "simulated" and cluster.gpu_resource.startswith("nvidia")
    return Scope(cluster.name, cluster.namespace, cluster.scaled, gpus, cluster.plan.nodes > 1)


def promise(cluster: Cluster) -> AlertObjectives:
    """The spec's objectives, and the start that the probes allow."""
    return AlertObjectives(objectives(cluster.spec.slo), float(start_budget(cluster)))
