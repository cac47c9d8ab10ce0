"""The HorizontalPodAutoscaler, over an adapter of the metrics API or over GKE's AutoscalingMetric.

A metric of pods is that of the pods which the scale subresource selects: of a LeaderWorkerSet the leaders
alone, by its status.hpaPodSelector. in-flight is no pod's of the fleet's own, so it is an External metric,
whose AverageValue is the sum over all gateways by the number of replicas. Sources:
pkg/controller/podautoscaler; kubernetes-sigs/lws, leaderworkerset_types.go;
https://docs.cloud.google.com/kubernetes-engine/docs/how-to/expose-custom-metrics-autoscaling.
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.scaling import (
    IN_FLIGHT,
    METRICS,
    gateways_figures,
    metric_name,
    most_running,
    quantity,
    reference,
)


def autoscaler(cluster: Cluster) -> tuple[Manifest, ...]:
    """The HPA, of whose metrics the largest answer wins; with GKE's own what makes them first."""
    scaling = cluster.spec.scaling
    if scaling is None:
        return ()
    spec: dict[str, Any] = {
        "scaleTargetRef": reference(cluster),
        "minReplicas": cluster.spec.replicas.low,
        "maxReplicas": cluster.spec.replicas.high,
        "metrics": [_metric(cluster, name, target) for name, target in scaling.metrics.items()],
    }
    if scaling.behavior:
        spec["behavior"] = dict(scaling.behavior)
    notes = most_running(cluster)
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": cluster.meta() | ({"annotations": notes} if notes else {}),
        "spec": spec,
    }
    made = (_exposed(cluster, scaling.metrics),) if cluster.ask.scaler == "autoscaling-metric" else ()
    return (*made, Manifest(hpa))


def _metric(cluster: Cluster, name: str, target: float) -> dict[str, Any]:
    wanted = {"type": "AverageValue", "averageValue": quantity(target)}
    metric: dict[str, Any] = {"name": metric_name(cluster, name)}
    if name != IN_FLIGHT:
        return {"type": "Pods", "pods": {"metric": metric, "target": wanted}}
    metric["selector"] = {"matchLabels": gateways_figures(cluster)}
    return {"type": "External", "external": {"metric": metric, "target": wanted}}


def _exposed(cluster: Cluster, metrics: Any) -> Manifest:
    """GKE's AutoscalingMetric: its agent on each node reads the gauges from the pods' own pages."""
    gauges = [{"gauge": {"name": name, "prometheusMetricName": METRICS[name]}} for name in metrics]
    pod = {
        "selector": {"matchLabels": cluster.serving},
        "containers": [{"endpoint": {"port": cluster.port, "path": "/metrics"}, "metrics": gauges}],
    }
    body = {
        "apiVersion": "autoscaling.gke.io/v1beta1",
        "kind": "AutoscalingMetric",
        "metadata": cluster.meta(),
        "spec": {"metrics": [{"pod": pod}]},
    }
    return Manifest(body)
