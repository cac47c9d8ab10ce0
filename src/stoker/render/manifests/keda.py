"""KEDA's ScaledObject: a Prometheus query a metric, out of which KEDA makes an HPA of its own.

That HPA is called keda-hpa-NAME, has the ScaledObject's labels and annotations, and asks for External
metrics named by the trigger's place: s0-prometheus. Their AverageValue is the query's value by the number of
replicas, so that each query is a sum. Sources: kedacore/keda 2.21, controllers/keda/hpa.go,
pkg/scalers/prometheus_scaler.go, pkg/scaling/executor/scale_scaledobjects.go,
apis/keda/v1alpha1/scaledobject_webhook.go.
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.probes import start_budget
from stoker.render.manifests.scaling import IN_FLIGHT, METRICS, ORDER, most_running, reference

FAILURES = 3  # of a trigger, before its fallback counts
OPERATORS = "http://prometheus-operated.{namespace}.svc:9090"  # the Service of a Prometheus operator


def scaled_object(cluster: Cluster) -> Manifest:
    """The ScaledObject. What only a way to 0 needs is said only there: else KEDA's webhook warns of it."""
    scaling, keda, bounds = cluster.spec.scaling, cluster.ask.keda, cluster.spec.replicas
    assert scaling is not None
    spec: dict[str, Any] = {
        "scaleTargetRef": reference(cluster),
        "minReplicaCount": bounds.low,
        "maxReplicaCount": bounds.high,
    }
    if bounds.low == 0:
        spec["pollingInterval"] = max(1, int(keda.polling))
        spec["cooldownPeriod"] = int(keda.cooldown)
        # counted from when it is made: the first replica would go while it loads
        spec["initialCooldownPeriod"] = start_budget(cluster) + int(keda.cooldown)
    if keda.fallback is not None:
        spec["fallback"] = {"failureThreshold": FAILURES, "replicas": keda.fallback}
    if scaling.behavior:
        spec["advanced"] = {"horizontalPodAutoscalerConfig": {"behavior": dict(scaling.behavior)}}
    spec["triggers"] = [_trigger(cluster, name, target) for name, target in scaling.metrics.items()]
    notes = {ORDER: ",".join(scaling.metrics)} | most_running(cluster)
    body = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": cluster.meta() | {"annotations": notes},
        "spec": spec,
    }
    return Manifest(body)


def _trigger(cluster: Cluster, name: str, target: float) -> dict[str, Any]:
    """One metric. An empty answer is an error, not a 0 by which replicas would go; but at 0 replicas the
    engines' own are empty by nature."""
    server = cluster.ask.keda.server or OPERATORS.format(namespace=cluster.ask.monitoring.namespace)
    to_zero = cluster.spec.replicas.low == 0
    metadata = {
        "serverAddress": server,
        "query": query(cluster, name),
        "threshold": _plain(target),
        "ignoreNullValues": "true" if to_zero and name != IN_FLIGHT else "false",
    }
    if to_zero:
        metadata["activationThreshold"] = "0"  # one request is enough
    return {"type": "prometheus", "name": name, "metricType": "AverageValue", "metadata": metadata}


def query(cluster: Cluster, name: str) -> str:
    """PromQL of a metric: the sum over this fleet's pods, and no others'."""
    whose = "gateway" if name == IN_FLIGHT else "fleet"
    mine, family = f'{{namespace="{cluster.namespace}",{whose}="{cluster.name}"}}', METRICS[name]
    if name == "ttft":
        return f"sum({mean('sum by (pod) ({})', mine)})"
    if name == "kv-cache":  # a share: of an engine with several caches the mean
        return f"sum(avg by (pod) ({family}{mine}))"
    return f"sum({family}{mine})"


def mean(grouped: str, labels: str) -> str:
    """PromQL of a pod's mean time to first token over the last minute, in seconds; 0 where none was.

    grouped: the sum by pods, `{}` for what is summed.
    """
    family = METRICS["ttft"]
    took, came = (grouped.format(f"rate({family}_{one}{labels}[1m])") for one in ("sum", "count"))
    return f"{took} / ({came} > 0) or {came} * 0"


def _plain(value: float) -> str:
    """A number without an exponent."""
    return f"{value:f}".rstrip("0").rstrip(".")
