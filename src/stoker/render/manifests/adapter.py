"""What the Prometheus adapter has to know: rules for its chart's values, of pods' metrics and the gateway's.

Source: https://github.com/kubernetes-sigs/prometheus-adapter, docs/config.md and docs/externalmetrics.md.
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.keda import mean
from stoker.render.manifests.scaling import IN_FLIGHT, METRICS, metric_name

LABELS = "{<<.LabelMatchers>>}"
SERIES = {"ttft": f"{METRICS['ttft']}_count"}  # where the family is no series itself


def adapter_rules(cluster: Cluster) -> str | None:
    """The values that the Prometheus adapter's chart wants, to be merged into the cluster's own; None where
    none are."""
    scaling, ask = cluster.spec.scaling, cluster.ask
    if not cluster.scaled or scaling is None or (ask.scaler, cluster.metrics) != ("hpa", "prometheus"):
        return None
    import yaml

    custom = [_pods(cluster, name) for name in scaling.metrics if name != IN_FLIGHT]
    external = [_external(cluster)] if IN_FLIGHT in scaling.metrics else []
    rules = {key: one for key, one in (("custom", custom), ("external", external)) if one}
    return yaml.safe_dump({"rules": rules}, sort_keys=False, width=200)


def _pods(cluster: Cluster, name: str) -> dict[str, Any]:
    """A metric of each pod that the HPA asks about."""
    return {
        "seriesQuery": f'{SERIES.get(name, METRICS[name])}{{namespace!="",pod!=""}}',
        "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
        "name": {"as": metric_name(cluster, name)},
        "metricsQuery": _query(name),
    }


def _query(name: str) -> str:
    if name == "ttft":
        return mean("sum({}) by (<<.GroupBy>>)", LABELS)
    how = "avg" if name == "kv-cache" else "sum"  # a share: of an engine with several caches the mean
    return f"{how}(<<.Series>>{LABELS}) by (<<.GroupBy>>)"


def _external(cluster: Cluster) -> dict[str, Any]:
    """The requests that all gateways of a fleet hold, whose name the HPA gives as a label."""
    return {
        "seriesQuery": f'{METRICS[IN_FLIGHT]}{{namespace!="",gateway!=""}}',
        "resources": {"overrides": {"namespace": {"resource": "namespace"}}},
        "name": {"as": metric_name(cluster, IN_FLIGHT)},
        "metricsQuery": f"sum(<<.Series>>{LABELS})",
    }
