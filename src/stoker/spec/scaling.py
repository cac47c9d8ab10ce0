"""The `scaling:` part, checked against what it moves and where."""

from stoker.errors import SpecError
from stoker.spec import nodes
from stoker.spec.models import SpecFile
from stoker.spec.nouns import Scaling

OF_THE_ENDPOINT = "in-flight"


def read_scaling(parsed: SpecFile, tree: nodes.Tree) -> Scaling | None:
    """Raises: SpecError, where choices do not go together."""
    if parsed.scaling is None:
        _check_alone(parsed, tree)
        return None
    metrics: dict[str, float] = dict(parsed.scaling.metrics.items())
    if metrics.get("kv-cache", 0) > 1:
        raise _error(
            tree,
            ("scaling", "metrics", "kv-cache"),
            f"kv-cache {metrics['kv-cache']:g} is more than the whole cache",
            "it is the share of the cache that is in use, 1 at most",
            "kv-cache: 80%",
        )
    _check_zero(parsed, tree)
    _check_cluster(parsed, tree)
    behavior = parsed.scaling.behavior
    return Scaling(
        metrics, behavior.model_dump(exclude_none=True) if behavior else {}, parsed.scaling.sync_period
    )


def _check_alone(parsed: SpecFile, tree: nodes.Tree) -> None:
    if not parsed.replicas.fixed:
        raise _error(
            tree,
            ("replicas",),
            f"replicas: {parsed.replicas} is a range without scaling",
            "nothing says when to have more",
            "scaling: {metrics: {queue-depth: 5}}, or one number",
        )


def _check_zero(parsed: SpecFile, tree: nodes.Tree) -> None:
    """A fleet at 0 has no engine that could report anything: only who holds its requests can wake it."""
    if parsed.scaling is None or parsed.replicas.fixed or parsed.replicas.low:
        return
    if OF_THE_ENDPOINT not in parsed.scaling.metrics:
        raise _error(
            tree,
            ("replicas",),
            f"replicas: {parsed.replicas} goes to 0, and nothing would bring it back",
            f"{', '.join(parsed.scaling.metrics)} is counted by engines, and at 0 there is none",
            "add `in-flight: 8` to scaling.metrics, which the endpoint counts; or start the range at 1",
        )


def _check_cluster(parsed: SpecFile, tree: nodes.Tree) -> None:
    """What only a cluster asks for, where the fleet is for one."""
    kubernetes, scaling = parsed.kubernetes, parsed.scaling
    if parsed.target != "kubernetes" or scaling is None or parsed.replicas.fixed:
        return
    if OF_THE_ENDPOINT in scaling.metrics and kubernetes.routing != "gateway":
        raise _error(
            tree,
            ("scaling", "metrics", OF_THE_ENDPOINT),
            "in-flight is counted by Stoker's gateway, and none stands in front of this fleet",
            f"kubernetes.routing is {kubernetes.routing}",
            "routing: gateway and an `image` under kubernetes, or queue-depth and batch-size",
        )
    _check_adapter(parsed, tree)
    _check_autoscaling_metric(parsed, tree)
    if kubernetes.scaler == "keda" and kubernetes.keda.server is None and kubernetes.metrics != "prometheus":
        raise _error(
            tree,
            ("kubernetes", "scaler"),
            "KEDA asks a Prometheus server, and none is named",
            "managed Prometheus is asked through a query frontend of yours; elsewhere `metrics: prometheus` "
            "has one",
            "keda: {server: http://frontend.monitoring.svc:9090} under kubernetes",
        )


def _check_adapter(parsed: SpecFile, tree: nodes.Tree) -> None:
    """What the Stackdriver adapter cannot serve: managed Prometheus keeps a histogram as one distribution.

    The adapter answers "distributions are not supported", unless somebody starts it with
    --enable-distribution-support, which its published manifest does not. Source: k8s-stackdriver,
    custom-metrics-stackdriver-adapter, translator/query_builder.go and adapter_new_resource_model.yaml.
    """
    kubernetes, scaling = parsed.kubernetes, parsed.scaling
    by = kubernetes.metrics or ("stackdriver" if kubernetes.platform == "gke" else "prometheus")
    if scaling is None or kubernetes.scaler != "hpa" or by != "stackdriver" or "ttft" not in scaling.metrics:
        return
    raise _error(
        tree,
        ("scaling", "metrics", "ttft"),
        "time to first token is a histogram, and the Stackdriver adapter serves none",
        "managed Prometheus keeps it as one distribution, which the adapter's HPA metrics leave out",
        "metrics: prometheus under kubernetes, scaler: keda, or another metric",
    )


def _check_autoscaling_metric(parsed: SpecFile, tree: nodes.Tree) -> None:
    """GKE's own: gauges of the pods that are scaled. Source:
    https://docs.cloud.google.com/kubernetes-engine/docs/how-to/expose-custom-metrics-autoscaling."""
    if parsed.kubernetes.scaler != "autoscaling-metric" or parsed.scaling is None:
        return
    if parsed.kubernetes.platform != "gke":
        raise _error(
            tree,
            ("kubernetes", "scaler"),
            "AutoscalingMetric is GKE's own, and the platform is plain",
            "no other cluster has it",
            "scaler: hpa or scaler: keda",
        )
    if "ttft" in parsed.scaling.metrics:
        raise _error(
            tree,
            ("scaling", "metrics", "ttft"),
            "an AutoscalingMetric reads gauges only, and time to first token is a histogram",
            "the agent on the node reports a metric as it stands on the page",
            "scaler: hpa with metrics: prometheus, scaler: keda, or another metric",
        )
    if OF_THE_ENDPOINT in parsed.scaling.metrics:
        raise _error(
            tree,
            ("scaling", "metrics", OF_THE_ENDPOINT),
            "an AutoscalingMetric reads the pods that are scaled, and in-flight is counted by the gateway's",
            "the HPA takes it as a metric of its own pods",
            "scaler: hpa or scaler: keda, or queue-depth and batch-size",
        )


def _error(tree: nodes.Tree, path: nodes.Path, what: str, why: str, fix: str) -> SpecError:
    return SpecError(what, at=str(tree.place(path)), why=why, fix=fix, rule="spec-value")


__all__ = ["OF_THE_ENDPOINT", "read_scaling"]
