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
    if kubernetes.scaler == "autoscaling-metric":
        if kubernetes.platform != "gke":
            raise _error(
                tree,
                ("kubernetes", "scaler"),
                "AutoscalingMetric is GKE's own, and the platform is plain",
                "no other cluster has it",
                "scaler: hpa or scaler: keda",
            )
        if "ttft" in scaling.metrics:
            raise _error(
                tree,
                ("scaling", "metrics", "ttft"),
                "an AutoscalingMetric reads gauges only, and time to first token is a histogram",
                "the agent on the node reports a metric as it stands on the page",
                "scaler: hpa with metrics: prometheus, scaler: keda, or another metric",
            )
    if kubernetes.scaler == "keda" and kubernetes.keda.server is None and kubernetes.metrics != "prometheus":
        raise _error(
            tree,
            ("kubernetes", "scaler"),
            "KEDA asks a Prometheus server, and none is named",
            "managed Prometheus is asked through a query frontend of yours; elsewhere `metrics: prometheus` "
            "has one",
            "keda: {server: http://frontend.monitoring.svc:9090} under kubernetes",
        )


def _error(tree: nodes.Tree, path: nodes.Path, what: str, why: str, fix: str) -> SpecError:
    return SpecError(what, at=str(tree.place(path)), why=why, fix=fix, rule="spec-value")


__all__ = ["OF_THE_ENDPOINT", "read_scaling"]
