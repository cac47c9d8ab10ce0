"""Who scrapes the engine's /metrics: managed Prometheus, or a Prometheus operator's."""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest

INTERVAL = "15s"


def monitoring(cluster: Cluster) -> tuple[Manifest, ...]:
    """PodMonitoring or PodMonitor, in the fleet's own namespace, where alone it selects pods."""
    if cluster.metrics == "none":
        return ()
    spec: dict[str, Any] = {"selector": {"matchLabels": cluster.serving}}
    if cluster.metrics == "stackdriver":
        version, kind = "monitoring.googleapis.com/v1", "PodMonitoring"
        spec["endpoints"] = [{"port": "http", "path": "/metrics", "interval": INTERVAL}]
    else:
        version, kind = "monitoring.coreos.com/v1", "PodMonitor"
        spec["podMetricsEndpoints"] = [{"port": "http", "path": "/metrics", "interval": INTERVAL}]
    return (Manifest({"apiVersion": version, "kind": kind, "metadata": cluster.meta(), "spec": spec}),)
