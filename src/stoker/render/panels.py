"""What a dashboard shows: panels with their queries, under the metric names of vLLM's V1 engine.

The first nine are those of Google's guide. Sources: vLLM `v1/metrics/loggers.py`; kube-state-metrics;
NVIDIA's DCGM exporter.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["lines", "stacked", "heatmap"]
RATE = "$RATE"  # stands for the window of a rate, which each dashboard has its own word for
CHANCE = "[bcdfghjklmnpqrstvwxz2456789]+"  # what Kubernetes makes names of: apimachinery, util/rand
QUANTILES = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are named (`{{label}}` stands for a label's value)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. Units are Grafana's: `s`, `percentunit`, `short`, `reqps`, `celsius`, `watt`, `decbytes`."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    kind: Kind = "lines"
    row: str = "Engine"
    about: str = ""


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose figures: one fleet's, here or in a namespace of a cluster. groups: a replica is a group of pods.

    scaler: the name of its HPA, where that is not the fleet's.
    """

    fleet: str
    namespace: str | None = None
    scaled: bool = False
    gpus: bool = False
    groups: bool = False
    scaler: str = ""

    @property
    def hpa(self) -> str:
        """The selector of what kube-state-metrics tells of its HPA."""
        name = self.scaler or self.fleet
        return f'namespace="{self.namespace}",horizontalpodautoscaler="{name}"'

    @property
    def mine(self) -> str:
        """The selector of the fleet's own series; in a cluster others of its name may stand in other
        namespaces."""
        return f'fleet="{self.fleet}"' + (f',namespace="{self.namespace}"' if self.namespace else "")

    @property
    def pods(self) -> str:
        """A pattern of its pods' names, and of no fleet's whose name begins alike: `shop-7d9c-x2k`,
        `shop-0-1`."""
        return f"{self.fleet}-[0-9]+(-[0-9]+)?" if self.groups else f"{self.fleet}-{CHANCE}-{CHANCE}"


def panels(scope: Scope) -> tuple[Panel, ...]:
    """All panels of a fleet, row by row."""
    out = (*_guide(scope), *_fleet(scope))
    if scope.namespace is not None and scope.scaled:
        out += _autoscaling(scope)
    if scope.namespace is not None and scope.gpus:
        out += _gpus(scope)
    return out


def _guide(scope: Scope) -> tuple[Panel, ...]:
    mine = scope.mine
    return (
        Panel("End-to-end request latency", _latency("e2e_request_latency_seconds", mine), "s"),
        Panel("Token throughput", (
            Query(f"sum(rate(vllm:prompt_tokens_total{{{mine}}}[{RATE}]))", "prompt tokens/s"),
            Query(f"sum(rate(vllm:generation_tokens_total{{{mine}}}[{RATE}]))", "generation tokens/s"),
        )),
        Panel("Inter-token latency", _latency("inter_token_latency_seconds", mine), "s", about="Called time "
                                                                                               "per output "
                                                                                               "token before "
                                                                                               "vLLM 0.11."),
        Panel("Scheduler state", (
            Query(f"sum(vllm:num_requests_running{{{mine}}})", "running"),
            Query(f"sum(vllm:num_requests_waiting{{{mine}}})", "waiting"),
        )),
        Panel("Time to first token", _latency("time_to_first_token_seconds", mine), "s"),
        Panel("Cache utilization", (Query(f"vllm:kv_cache_usage_perc{{{mine}}}", "{{instance}}"),), "percentunit", about="Share of the KV cache that is in use, a replica."),
        Panel("Prompt length", (Query(f"sum by (le) "
                                      f"(increase(vllm:request_prompt_tokens_bucket{{{mine}}}[{RATE}]))", "{{le}}"),), kind="heatmap"),
        Panel("Generation length", (Query(f"sum by (le) "
                                          f"(increase(vllm:request_generation_tokens_bucket{{{mine}}}[{RATE}]))", "{{le}}"),), kind="heatmap"),
        Panel("Finish reason", (Query(f"sum by (finished_reason) "
                                      f"(rate(vllm:request_success_total{{{mine}}}[{RATE}]))", "{{finished_reason}}"),), "reqps", "stacked"),
    )  # fmt: skip


def _latency(family: str, mine: str) -> tuple[Query, ...]:
    """Quantiles and the mean of a histogram."""
    buckets = f"sum by (le) (rate(vllm:{family}_bucket{{{mine}}}[{RATE}]))"
    mean = (
        f"sum(rate(vllm:{family}_sum{{{mine}}}[{RATE}])) / sum(rate(vllm:{family}_count{{{mine}}}[{RATE}]))"
    )
    return (
        *(Query(f"histogram_quantile({q}, {buckets})", f"P{q * 100:.0f}") for q in QUANTILES),
        Query(mean, "mean"),
    )


def _fleet(scope: Scope) -> tuple[Panel, ...]:
    mine = scope.mine
    hits = f"sum by (instance) (rate(vllm:prefix_cache_hits_total{{{mine}}}[{RATE}]))"
    asked = f"sum by (instance) (rate(vllm:prefix_cache_queries_total{{{mine}}}[{RATE}]))"
    return (
        Panel("Replicas that answer", (Query(f"count(up{{{mine}}} == 1) or vector(0)", "up"), Query(f"count(up{{{mine}}})", "scraped")), row="Fleet"),
        Panel("Requests running a replica", (Query(f"vllm:num_requests_running{{{mine}}}", "{{instance}}"),), row="Fleet"),
        Panel("Generation tokens/s a replica", (Query(f"rate(vllm:generation_tokens_total{{{mine}}}[{RATE}])", "{{instance}}"),), row="Fleet"),
        Panel("Queue time", (Query(f"histogram_quantile(0.99, sum by (le) "
                                   f"(rate(vllm:request_queue_time_seconds_bucket{{{mine}}}[{RATE}])))", "P99"),), "s", row="Fleet"),
        Panel("Prefix cache hits", (Query(f"{hits} / {asked}", "{{instance}}"),), "percentunit", row="Fleet"),
        Panel("Preemptions", (Query(f"sum by (instance) (rate(vllm:num_preemptions_total{{{mine}}}[{RATE}]))", "{{instance}}"),), row="Fleet", about="Requests that were put back because the KV cache was full."),
    )  # fmt: skip


def _autoscaling(scope: Scope) -> tuple[Panel, ...]:
    names = {"status_current_replicas": "current", "status_desired_replicas": "desired", "spec_min_replicas": "minimum", "spec_max_replicas": "maximum"}  # fmt: skip
    replicas = tuple(
        Query(f"max(kube_horizontalpodautoscaler_{name}{{{scope.hpa}}})", label)
        for name, label in names.items()
    )
    mine = scope.mine
    average = (
        Query(f"avg(vllm:num_requests_waiting{{{mine}}})", "queue depth a replica"),
        Query(f"avg(vllm:num_requests_running{{{mine}}})", "batch size a replica"),
    )
    return (
        Panel("Replicas", replicas, row="Autoscaling", about="From kube-state-metrics."),
        Panel("What the HPA compares", average, row="Autoscaling"),
    )


def _gpus(scope: Scope) -> tuple[Panel, ...]:
    """From the DCGM exporter, which calls a pod `pod` or, where Prometheus keeps its own label,
    `exported_pod`."""
    ours = tuple(
        f'{kept}pod=~"{scope.pods}",{kept}namespace="{scope.namespace}"' for kept in ("", "exported_")
    )

    def panel(title: str, family: str, unit: str, scale: str = "") -> Panel:
        expr = " or ".join(f"{family}{{{one}}}{scale}" for one in ours)
        return Panel(title, (Query(expr, "{{Hostname}} GPU {{gpu}}"),), unit, row="GPU")

    return (
        panel("GPU utilization", "DCGM_FI_DEV_GPU_UTIL", "percent"),
        panel("GPU memory in use", "DCGM_FI_DEV_FB_USED", "decbytes", " * 1048576"),
        panel("GPU temperature", "DCGM_FI_DEV_GPU_TEMP", "celsius"),
        panel("GPU power", "DCGM_FI_DEV_POWER_USAGE", "watt"),
    )
