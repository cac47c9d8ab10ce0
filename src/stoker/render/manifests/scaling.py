"""By what a fleet is scaled: metrics under the names of whoever serves them, their targets as quantities.

Sources: https://cloud.google.com/stackdriver/docs/managed-prometheus/hpa (names of the Stackdriver adapter);
vLLM v1/metrics/loggers.py; stoker_gateway_requests is the gateway's own.
"""

import re
from collections.abc import Mapping
from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.workload import LWS

TOLERANCE = 0.1  # of the HPA: within it nothing moves
VALUES = "prometheus-adapter-values.yaml"  # the file of `adapter_rules`
MOST_RUNNING = "stoker/max-num-seqs"
ORDER = "stoker/scaling-metrics"  # the triggers of a ScaledObject, whose HPA calls them s0-prometheus, s1-…
KEDA_HPA = "keda-hpa-"  # before the name of a ScaledObject: its HPA's
IN_FLIGHT = "in-flight"  # counted by the gateway, which no replica has to be there for
METRICS = {
    "queue-depth": "vllm:num_requests_waiting",
    "batch-size": "vllm:num_requests_running",
    "kv-cache": "vllm:kv_cache_usage_perc",
    "ttft": "vllm:time_to_first_token_seconds",
    IN_FLIGHT: "stoker_gateway_requests",
}
_CONTEXT = re.compile(r"gke_(?P<project>[^_]+)_(?P<location>[^_]+)_(?P<cluster>.+)")  # as gcloud names them


def metric_name(cluster: Cluster, metric: str) -> str:
    """What a metric is called where the HPA asks for it."""
    if cluster.ask.scaler == "autoscaling-metric":
        return f"autoscaling.gke.io|{cluster.name}|{metric}"
    family = METRICS[metric]
    if cluster.metrics == "stackdriver":
        return f"prometheus.googleapis.com|{family}|gauge"
    return family.replace(":", "_")


def known(name: str) -> str | None:
    """Stoker's own name of a metric, whatever an adapter calls it; None of one that is not Stoker's."""
    words = name.split("|")
    if words[0] == "autoscaling.gke.io":
        return words[-1] if words[-1] in METRICS else None
    plain = words[1] if len(words) > 1 else name
    return next((one for one, family in METRICS.items() if plain in (family, family.replace(":", "_"))), None)


def of_trigger(name: str, notes: Mapping[str, str] | None) -> str | None:
    """Stoker's own name of what KEDA's HPA calls by the trigger's place, such as `s0-prometheus`.

    notes: the annotations of the ScaledObject, or of its HPA, which has the same.
    """
    order = (notes or {}).get(ORDER, "").split(",")
    place = name.removeprefix("s").partition("-")[0]
    return order[int(place)] or None if place.isdigit() and int(place) < len(order) else None


def reference(cluster: Cluster) -> dict[str, Any]:
    """What is scaled: a Deployment's pods, or a LeaderWorkerSet's groups."""
    group = cluster.plan.nodes > 1
    return {
        "apiVersion": LWS if group else "apps/v1",
        "kind": "LeaderWorkerSet" if group else "Deployment",
        "name": cluster.name,
    }


def most_running(cluster: Cluster) -> dict[str, str]:
    """The annotation that says how many requests a replica runs at once at most: a target of batch-size above
    it would never be reached."""
    scaling, fit = cluster.spec.scaling, cluster.plan.fit
    if scaling is None or fit is None or "batch-size" not in scaling.metrics:
        return {}
    return {MOST_RUNNING: str(fit.settings.max_num_seqs)}


def gateways_figures(cluster: Cluster) -> dict[str, str]:
    """The labels by which the adapter finds what this fleet's gateway counts.

    The Stackdriver adapter looks through the whole project, so that the cluster is named where the context
    tells it; the Prometheus adapter looks in the HPA's own namespace.
    """
    if cluster.metrics != "stackdriver":
        return {"gateway": cluster.name}
    labels = {"resource.labels.namespace": cluster.namespace, "metric.labels.gateway": cluster.name}
    if there := _CONTEXT.fullmatch(cluster.ask.context or ""):
        labels["resource.labels.cluster"] = there["cluster"]
        labels["resource.labels.location"] = there["location"]
    return labels


def quantity(value: float) -> str:
    """A number as Kubernetes writes quantities: `5`, `2500m`."""
    return str(int(value)) if value == int(value) else f"{max(1, round(value * 1000))}m"


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
