"""Recording and alert rules of a fleet, as Prometheus' own groups.

Burn rates: the share of slow requests over the share that the objective allows, over a long and a short
window at once.
Source: Google's SRE workbook, "Alerting on SLOs", 6: multiwindow, multi-burn-rate alerts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.catalog import buckets
from stoker.render.panels import Scope
from stoker.spec.nouns import Objectives

SHARE = 0.99  # of requests, or of tokens, that are to meet an objective
# Burn rate, long and short window, and how urgent: 2 % of a month's budget in an hour, 5 % in six, 10 % in
# three days.
BURNS = ((14.4, "1h", "5m", "critical"), (6.0, "6h", "30m", "critical"), (1.0, "3d", "6h", "warning"))
WINDOWS = ("5m", "30m", "1h", "6h", "3d")
# The family of each objective, with its buckets.
BUCKETS = {
    "ttft": ("time_to_first_token_seconds", buckets.TTFT),
    "itl": ("inter_token_latency_seconds", buckets.ITL),
}
WORDS = {"ttft": "time to first token", "itl": "inter-token latency"}


@dataclass(frozen=True, slots=True)
class AlertObjectives:
    """What rules watch over: objectives in seconds by name (`ttft`, `itl`), and seconds that a start may
    take."""

    objectives: Mapping[str, float]
    start: float = 900.0


def groups(scope: Scope, promise: AlertObjectives) -> list[dict[str, Any]]:
    """Groups of rules, in the shape that Prometheus, PrometheusRule and Rules share."""
    recorded = [
        rule for name in promise.objectives for rule in _recorded(scope, name, promise.objectives[name])
    ]
    out = (
        [{"name": f"stoker-{scope.fleet}-objectives", "interval": "30s", "rules": recorded}]
        if recorded
        else []
    )
    alerts = [*_burning(scope, promise), *_fleet(scope, promise), *_engine(scope)]
    alerts += _scaling(scope) if scope.scaled and scope.namespace else []
    return [*out, {"name": f"stoker-{scope.fleet}", "rules": alerts}]


def objectives(slo: Objectives) -> dict[str, float]:
    """Those that are promised, in seconds."""
    asked = {"ttft": slo.ttft, "itl": slo.itl}
    return {name: float(value) for name, value in asked.items() if value is not None}


def bucket(name: str, objective: float) -> float:
    """The smallest bucket that holds an objective; the largest where none does."""
    bounds = BUCKETS[name][1]
    return next((one for one in bounds if one >= objective - 1e-9), bounds[-1])


def _recorded(scope: Scope, name: str, objective: float) -> list[dict[str, Any]]:
    """The share of what was too slow, over each window."""
    family, bound = BUCKETS[name][0], bucket(name, objective)
    le = f"{bound:g}|{bound:.1f}" if bound == int(bound) else f"{bound:g}"
    return [
        {
            "record": f"fleet:{name}_slow:ratio_rate{window}",
            "expr": f"1 - sum by (namespace) "
            f'(rate(vllm:{family}_bucket{{{scope.mine},le=~"{le}"}}[{window}])) / sum by (namespace) '
            f"(rate(vllm:{family}_count{{{scope.mine}}}[{window}]))",
            "labels": {"fleet": scope.fleet},
        }
        for window in WINDOWS
    ]


def _burning(scope: Scope, promise: AlertObjectives) -> list[dict[str, Any]]:
    out = []
    for name, objective in promise.objectives.items():
        for burn, long, short, severity in BURNS:
            limit = f"{burn * (1 - SHARE):.4g}"
            slow = f"fleet:{name}_slow:ratio_rate"
            expr = f"{slow}{long}{{{scope.mine}}} > {limit} and {slow}{short}{{{scope.mine}}} > {limit}"
            what = (
                f"{WORDS[name]} is above {bucket(name, objective):g} s for {burn:g} times as many as "
                f"{1 - SHARE:.0%} allow, over {long}"
            )
            fix = (
                "more replicas (`stoker scale`, a higher end of `replicas`), or a lower target value in "
                "scaling.metrics"
            )
            out.append(
                _alert(
                    scope,
                    f"Stoker{name.capitalize()}ObjectiveBurning",
                    expr,
                    "2m",
                    severity,
                    what,
                    fix,
                    {"window": long},
                )
            )
    return out


def _fleet(scope: Scope, promise: AlertObjectives) -> list[dict[str, Any]]:
    return [*_answering(scope), *_starting(scope, promise)]


def _answering(scope: Scope) -> list[dict[str, Any]]:
    mine = scope.mine
    return [
        _alert(
            scope,
            "StokerNoReplica",
            f"absent(up{{{mine}}} == 1)",
            "2m",
            "critical",
            "no replica answers",
            "`stoker status`, then `stoker why`",
        ),
        _alert(
            scope,
            "StokerMetricsMissing",
            f"count(up{{{mine}}} == 1) > 0 unless count(vllm:num_requests_running{{{mine}}}) > 0",
            "5m",
            "warning",
            "replicas answer, and serve none of vLLM's metrics",
            "is engine.version the image's own release? `stoker lint` names dead metrics",
        ),
    ]


def _starting(scope: Scope, promise: AlertObjectives) -> list[dict[str, Any]]:
    mine = scope.mine
    starts = f"changes(process_start_time_seconds{{{mine}}}[30m]) > 2"
    if scope.namespace:
        pods = f'namespace="{scope.namespace}",pod=~"{scope.pods}",container="engine"'
        starts += f" or increase(kube_pod_container_status_restarts_total{{{pods}}}[30m]) > 2"
    return [
        _alert(
            scope,
            "StokerStartTooLong",
            f"up{{{mine}}} == 0",
            f"{int(promise.start)}s",
            "warning",
            f"{{{{ $labels.instance }}}} has not answered for {int(promise.start)} s, which a start may take",
            "`stoker why`; `stoker logs` shows what it does",
        ),
        _alert(
            scope,
            "StokerCrashLoop",
            starts,
            "0m",
            "critical",
            "a replica has ended more than twice within half an hour",
            "`stoker why` knows its last error",
        ),
    ]


def _engine(scope: Scope) -> list[dict[str, Any]]:
    mine = scope.mine
    waiting = f"sum(vllm:num_requests_waiting{{{mine}}})"
    full = (
        f"max_over_time(vllm:kv_cache_usage_perc{{{mine}}}[5m]) > 0.95 and on (instance) sum by "
        f"(instance) (increase(vllm:num_preemptions_total{{{mine}}}[5m])) > 0"
    )
    return [
        _alert(
            scope,
            "StokerQueueGrowing",
            f"min_over_time({waiting}[10m:1m]) > 0 and deriv({waiting}[10m:1m]) > 0",
            "5m",
            "warning",
            "requests wait, and more and more of them",
            "more replicas; is the HPA at its maximum?",
        ),
        _alert(
            scope,
            "StokerKvCacheFull",
            full,
            "5m",
            "warning",
            "the KV cache of {{ $labels.instance }} is full, and requests are put back",
            "a shorter engine.max-model-len, fewer engine.max-num-seqs, more GPUs, or more replicas",
        ),
    ]


def _scaling(scope: Scope) -> list[dict[str, Any]]:
    hpa = f"{{{scope.hpa}}}"
    at = (
        f"kube_horizontalpodautoscaler_status_current_replicas{hpa} >= "
        f"kube_horizontalpodautoscaler_spec_max_replicas{hpa}"
    )
    return [
        _alert(
            scope,
            "StokerHpaAtMax",
            at,
            "15m",
            "warning",
            "the HPA has been at its maximum for a quarter of an hour",
            "a higher end of `replicas`, if the nodes are there",
        )
    ]


def _alert(
    scope: Scope,
    name: str,
    expr: str,
    last: str,
    severity: str,
    what: str,
    fix: str,
    more: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "for": last,
        "labels": {"severity": severity, "fleet": scope.fleet, **(more or {})},
        "annotations": {"summary": f"{scope.fleet}: {what}", "fix": fix},
    }
