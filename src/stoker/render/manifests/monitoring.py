"""Who scrapes the /metrics of engines and gateways, and what it alerts on: managed Prometheus, or an
operator's.

Every series of an engine gets the label `fleet`, by which rules and dashboards find it, here as on one
machine; those of a gateway get `gateway`, as `up` of a gateway is that of no replica.
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.probes import start_budget
from stoker.render.manifests.scaling import KEDA_HPA
from stoker.render.panels import Scope
from stoker.render.rules import AlertObjectives, groups, objectives

INTERVAL = "15s"
FLEET = "app.kubernetes.io/instance"
OWN = "stoker_gateway_.*"  # of a gateway's page, whose other families are the engines', scraped there


def monitoring(cluster: Cluster) -> tuple[Manifest, ...]:
    """PodMonitoring or PodMonitor, in the fleet's own namespace, where alone it selects pods; rules."""
    if cluster.metrics == "none":
        return ()
    engines = _scraped(cluster, cluster.name, cluster.serving, "fleet")
    if cluster.ask.routing != "gateway":
        return engines, _rules(cluster)
    gateways = _scraped(cluster, f"{cluster.name}-gateway", cluster.selector("gateway"), "gateway", OWN)
    return engines, gateways, _rules(cluster)


def _scraped(cluster: Cluster, name: str, pods: dict[str, str], named: str, kept: str = "") -> Manifest:
    """What has the pages of some pods scraped. named: the label that gets the fleet's name; kept: a pattern
    of the families that are taken, else all."""
    only = [{"sourceLabels": ["__name__"], "regex": kept, "action": "keep"}] if kept else []
    spec: dict[str, Any] = {"selector": {"matchLabels": pods}}
    endpoint: dict[str, Any] = {"port": "http", "path": "/metrics", "interval": INTERVAL}
    if cluster.metrics == "stackdriver":
        version, kind = "monitoring.googleapis.com/v1", "PodMonitoring"
        spec["endpoints"] = [endpoint | ({"metricRelabeling": only} if only else {})]
        spec["targetLabels"] = {"metadata": ["pod", "container"], "fromPod": [{"from": FLEET, "to": named}]}
    else:
        version, kind = "monitoring.coreos.com/v1", "PodMonitor"
        label = "__meta_kubernetes_pod_label_" + FLEET.replace(".", "_").replace("/", "_")
        endpoint["relabelings"] = [{"sourceLabels": [label], "targetLabel": named}]
        spec["podMetricsEndpoints"] = [endpoint | ({"metricRelabelings": only} if only else {})]
    meta = _meta(cluster) | {"name": name}
    return Manifest({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec})


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
    own = KEDA_HPA if cluster.ask.scaler == "keda" else ""
    return Scope(
        cluster.name, cluster.namespace, cluster.scaled, gpus, cluster.plan.nodes > 1, f"{own}{cluster.name}"
    )


def promise(cluster: Cluster) -> AlertObjectives:
    """The spec's objectives, and the start that the probes allow."""
    return AlertObjectives(objectives(cluster.spec.slo), float(start_budget(cluster)))
