"""How many: the HPA on queue depth or batch size, with the HPA's own `behavior`, and what its metrics adapter
needs.

Sources: https://cloud.google.com/stackdriver/docs/managed-prometheus/hpa (the metric's name in the
Stackdriver adapter), https://github.com/kubernetes-sigs/prometheus-adapter (rules).
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.workload import LWS

TOLERANCE = 0.1  # of the HPA: within it nothing moves
VALUES = "prometheus-adapter-values.yaml"  # the file of `adapter_rules`
MOST_RUNNING = "stoker/max-num-seqs"
METRICS = {"queue-depth": "vllm:num_requests_waiting", "batch-size": "vllm:num_requests_running"}


def metric_name(cluster: Cluster, metric: str) -> str:
    """What the adapter calls a metric."""
    family = METRICS[metric]
    if cluster.metrics == "stackdriver":
        return f"prometheus.googleapis.com|{family}|gauge"
    return family.replace(":", "_")


def autoscaler(cluster: Cluster) -> tuple[Manifest, ...]:
    """The HPA, where `replicas` is a range: one Pods metric each, of which the largest answer wins."""
    scaling = cluster.spec.scaling
    if not cluster.scaled or scaling is None:
        return ()
    group = cluster.plan.nodes > 1
    spec: dict[str, Any] = {
        "scaleTargetRef": {
            "apiVersion": LWS if group else "apps/v1",
            "kind": "LeaderWorkerSet" if group else "Deployment",
            "name": cluster.name,
        },
        "minReplicas": cluster.spec.replicas.low,
        "maxReplicas": cluster.spec.replicas.high,
        "metrics": [_pods(metric_name(cluster, name), target) for name, target in scaling.metrics.items()],
    }
    if scaling.behavior:
        spec["behavior"] = dict(scaling.behavior)
    hpa = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": cluster.meta() | _most_running(cluster),
        "spec": spec,
    }
    return (Manifest(hpa),)


def _most_running(cluster: Cluster) -> dict[str, Any]:
    """How many requests a replica runs at once at most: a target of batch-size above it would never be
    reached."""
    scaling, fit = cluster.spec.scaling, cluster.plan.fit
    if scaling is None or fit is None or "batch-size" not in scaling.metrics:
        return {}
    return {"annotations": {MOST_RUNNING: str(fit.settings.max_num_seqs)}}


def _pods(name: str, target: float) -> dict[str, Any]:
    return {
        "type": "Pods",
        "pods": {
            "metric": {"name": name},
            "target": {"type": "AverageValue", "averageValue": quantity(target)},
        },
    }


def quantity(value: float) -> str:
    """A number as Kubernetes writes quantities: `5`, `2500m`."""
    return str(int(value)) if value == int(value) else f"{round(value * 1000)}m"


def number(text: str) -> float | None:
    """The value of a plain quantity, such as `5` or `2500m`; None of anything else."""
    milli = text.endswith("m")
    digits = text.removesuffix("m")
    if not digits.replace(".", "", 1).isdigit():
        return None
    return float(digits) / 1000 if milli else float(digits)


def never_exceeded(target: float, most: int) -> bool:
    """Whether a replica that runs so many requests at most can never lead the HPA above a target of running
    ones."""
    return target * (1 + TOLERANCE) >= most


def adapter_rules(cluster: Cluster) -> str | None:
    """The values that the Prometheus adapter's chart wants, to be merged into the cluster's own; None where
    none are."""
    if not cluster.scaled or cluster.metrics != "prometheus" or cluster.spec.scaling is None:
        return None
    import yaml

    rules = [
        {
            "seriesQuery": f'{METRICS[name]}{{namespace!="",pod!=""}}',
            "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
            "name": {"as": metric_name(cluster, name)},
            "metricsQuery": "sum(<<.Series>>{<<.LabelMatchers>>}) by (<<.GroupBy>>)",
        }
        for name in cluster.spec.scaling.metrics
    ]
    return yaml.safe_dump({"rules": {"custom": rules}}, sort_keys=False)
