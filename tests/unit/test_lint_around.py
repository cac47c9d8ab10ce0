"""`stoker lint` on what stands around an engine: Services, scrapes, alerts, budgets, copies of an object."""

from typing import Any

import pytest
from tests.support.scalers import BUDGET, Body, Case, check, ids, object_, of, pod

PORTS = {"ports": [{"name": "http", "containerPort": 8000}]}
ENGINE = pod(container=PORTS)


def scraped(kind: str = "PodMonitoring", label: str = "v", space: str | None = None, **endpoint: Any) -> Body:
    key = "podMetricsEndpoints" if kind == "PodMonitor" else "endpoints"
    spec = {"selector": {"matchLabels": {"app": label}}, key: [{"port": "http"} | endpoint]}
    return object_(kind, spec, name="m", **({"namespace": space} if space else {}))


def service(label: str = "v", named: str = "v", **port: Any) -> Body:
    spec = {"selector": {"app": label}, "ports": [{"port": 80, "targetPort": 8000, "name": "http"} | port]}
    return object_("Service", spec, name="s", labels={"app": named})


def alert(expr: str) -> list[Body]:
    groups = [{"name": "g", "rules": [{"alert": "A", "expr": expr}]}]
    return [{"apiVersion": "monitoring.coreos.com/v1"} | object_("PrometheusRule", {"groups": groups})]


def public(name: str) -> list[Body]:
    return [object_("Service", {"type": "LoadBalancer", "ports": [{"port": 80}]}, name=name)]


CASES: list[Case] = [
    ("monitoring-port", "", [ENGINE, scraped(port="metrics")], [ENGINE, scraped()]),
    ("monitoring-port", "", [ENGINE, scraped(port=9090)], [ENGINE, scraped(port=8000)]),
    ("monitoring-path", "", [ENGINE, scraped(path="/metricz")], [ENGINE, scraped(path="/metrics")]),
    ("monitoring-selector", "pods", [ENGINE, scraped(label="w")], [ENGINE, scraped(label="w", kind="Other")]),
    (
        "monitoring-selector",
        "services",
        [ENGINE, service(named="w"), scraped("ServiceMonitor")],
        [ENGINE, service(), scraped("ServiceMonitor")],
    ),
    (
        "monitoring-namespace",
        "",
        [of(ENGINE, namespace="a"), scraped(space="b")],
        [of(ENGINE, namespace="default"), scraped()],
    ),
    ("service-port", "", [ENGINE, service(targetPort=9000)], [ENGINE, service(targetPort="http")]),
    ("service-selector", "here", [ENGINE, service("w")], [ENGINE, service("v")]),
    ("public", "", public("llm-chat"), public("elasticsearch")),
    (
        "twice",
        "same file",
        [ENGINE, pod(container=PORTS | {"image": "vllm/vllm-openai:v0.31.0"})],
        [ENGINE, ENGINE],
    ),
    ("metric", "gone", alert("vllm:gpu_cache_usage_perc > 1"), alert("vllm:kv_cache_usage_perc > 1")),
    (
        "metric",
        "gone",
        alert('{__name__="vllm:num_requests_swapped"}'),
        alert('{a="vllm:num_requests_swapped"}'),
    ),
    ("metric", "unlisted", alert("vllm:num_request_waiting > 1"), alert("vllm:avg_ttft > 1")),
    ("metric", "unlisted", alert("vllm:num_requests_running_total"), alert("vllm:num_requests_running")),
    (
        "metric",
        "counter",
        alert("rate(vllm:num_preemptions[5m])"),
        alert("rate(vllm:num_preemptions_total[5m])"),
    ),
    (
        "metric",
        "histogram",
        alert("vllm:e2e_request_latency_seconds > 1"),
        alert("histogram_quantile(0.9, rate(vllm:e2e_request_latency_seconds_bucket[5m])) > 1"),
    ),
    ("metric", "underscore", alert("vllm_num_requests_running > 1"), alert("vllm_router_requests > 1")),
    (
        "metric",
        "pattern",
        alert('{__name__=~"vllm:gpu_.*"}'),
        alert('{__name__=~"vllm:num_requests_(running|x)"}'),
    ),
    ("metric", "pattern", alert('{__name__=~"vllm:no_.*"}'), alert('{__name__=~"vllm:(a+)+$"}')),
    (
        "budget",
        "blocks",
        [ENGINE, of(BUDGET | {"spec": {"minAvailable": "100%"}}, name="b")],
        [ENGINE, of(BUDGET | {"spec": {"minAvailable": 1}}, name="b")],
    ),
]


@pytest.mark.parametrize(("rule", "case", "wrong", "right"), CASES, ids=ids(CASES))
def test_a_variant_is_found_where_it_is_and_nowhere_else(
    rule: str, case: str, wrong: list[Body], right: list[Body]
) -> None:
    check(rule, case, wrong, right)
