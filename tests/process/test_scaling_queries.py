"""What KEDA and the Prometheus adapter ask a server comes to the figures that a scaler is to compare."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.golden.cases import CASES
from tests.support.manifests import plan_of

from stoker.render.manifests import choose
from stoker.render.manifests.adapter import adapter_rules
from stoker.render.manifests.keda import query

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: apt-get install prometheus"
)
CLUSTER = choose(plan_of(*CASES["scaled-five-prometheus"]))
TTFT = "vllm:time_to_first_token_seconds"


def series(name: str, values: str, pod: str, fleet: str = "shop", **more: str) -> dict[str, str]:
    labels = {"namespace": "default", "fleet": fleet, "pod": pod, **more}
    inside = ",".join(f'{key}="{value}"' for key, value in labels.items() if value)
    return {"series": f"{name}{{{inside}}}", "values": values}


def held(values: str, pod: str, gateway: str = "shop") -> dict[str, str]:
    return series("stoker_gateway_requests", values, pod, "", gateway=gateway)


# Two replicas, one of which is idle, and another fleet whose name begins alike; every 15 s a sample.
SERIES = [
    series("vllm:num_requests_waiting", "7x20", "shop-a"),
    series("vllm:num_requests_waiting", "0x20", "shop-b"),
    series("vllm:num_requests_waiting", "90x20", "shop-b-x", "shop-b"),
    series("vllm:num_requests_running", "3x20", "shop-a", engine="0"),
    series("vllm:num_requests_running", "5x20", "shop-a", engine="1"),
    series("vllm:kv_cache_usage_perc", "0.4x20", "shop-a", engine="0"),
    series("vllm:kv_cache_usage_perc", "0.8x20", "shop-a", engine="1"),
    series("vllm:kv_cache_usage_perc", "0.3x20", "shop-b"),
    series(f"{TTFT}_sum", "0+6x20", "shop-a"),
    series(f"{TTFT}_count", "0+3x20", "shop-a"),
    series(f"{TTFT}_sum", "50x20", "shop-b"),
    series(f"{TTFT}_count", "10x20", "shop-b"),
    held("4x20", "shop-gateway-a"),
    held("2x20", "shop-gateway-b"),
    held("50x20", "shop-b-gateway", "shop-b"),
]
SUMS = {"queue-depth": 7, "batch-size": 8, "kv-cache": 0.9, "ttft": 2, "in-flight": 6}
BY_POD: dict[str, dict[str, float]] = {
    "vllm_num_requests_waiting": {"shop-a": 7, "shop-b": 0},
    "vllm_num_requests_running": {"shop-a": 8},
    "vllm_kv_cache_usage_perc": {"shop-a": 0.6, "shop-b": 0.3},
    "vllm_time_to_first_token_seconds": {"shop-a": 2, "shop-b": 0},
}


def evaluated(folder: Path, expected: list[dict[str, Any]]) -> None:
    """Raises where promtool finds other samples five minutes on."""
    tests = [{"interval": "15s", "input_series": SERIES, "promql_expr_test": expected}]
    (folder / "tests.yaml").write_text(yaml.safe_dump({"tests": tests}))
    argv = ["promtool", "test", "rules", "tests.yaml"]
    ran = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_keda_gets_one_sum_a_metric(tmp_path: Path) -> None:
    expected = [
        {
            "expr": f"round({query(CLUSTER, name)}, 0.001)",
            "eval_time": "5m",
            "exp_samples": [{"labels": "{}", "value": value}],
        }
        for name, value in SUMS.items()
    ]
    evaluated(tmp_path, expected)


@needs_promtool
def test_a_metric_that_nobody_scrapes_is_no_zero(tmp_path: Path) -> None:
    other = query(choose(plan_of(*CASES["multi-node-keda"])), "queue-depth")
    evaluated(tmp_path, [{"expr": other, "eval_time": "5m", "exp_samples": []}])
    wrong = {"expr": other, "eval_time": "5m", "exp_samples": [{"labels": "{}", "value": 0}]}
    with pytest.raises(AssertionError):
        evaluated(tmp_path, [wrong])


@needs_promtool
def test_the_adapter_gets_a_figure_for_each_pod_that_it_asks_about(tmp_path: Path) -> None:
    rules = yaml.safe_load(adapter_rules(CLUSTER) or "")["rules"]
    expected = []
    for rule in rules["custom"]:
        labels = 'namespace="default",pod=~"shop-a|shop-b"'
        samples = [
            {"labels": f'{{pod="{pod}"}}', "value": value}
            for pod, value in BY_POD[rule["name"]["as"]].items()
        ]
        expr = f"round({filled(rule, labels)}, 0.001)"
        expected.append({"expr": expr, "eval_time": "5m", "exp_samples": samples})
    (rule,) = rules["external"]
    total = [{"labels": "{}", "value": 6}]
    expr = filled(rule, 'namespace="default",gateway="shop"')
    evaluated(tmp_path, [*expected, {"expr": expr, "eval_time": "5m", "exp_samples": total}])


def filled(rule: dict[str, Any], labels: str) -> str:
    """A rule's query as the adapter fills it in."""
    text = str(rule["metricsQuery"]).replace("<<.Series>>", rule["seriesQuery"].partition("{")[0])
    return text.replace("<<.LabelMatchers>>", labels).replace("<<.GroupBy>>", "pod")
