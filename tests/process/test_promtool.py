"""promtool reads the rules and the configuration; alerts fire and do not fire."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stoker.render.panels import Scope, panels
from stoker.render.rules import AlertObjectives, groups
from stoker.render.scraping import prometheus, rules

HERE = Scope("shop")
THERE = Scope("shop", "ml", scaled=True, gpus=True)
PROMISE = AlertObjectives({"ttft": 1.0, "itl": 0.05}, start=600.0)
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: apt-get install prometheus"
)


def hpa(name: str) -> str:
    """A series of kube-state-metrics about the fleet's HPA."""
    return f'kube_horizontalpodautoscaler_{name}{{namespace="ml",horizontalpodautoscaler="shop"}}'


@needs_promtool
@pytest.mark.parametrize("scope", [HERE, THERE], ids=["here", "there"])
def test_promtool_takes_rules_and_configuration(scope: Scope, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(rules(scope, PROMISE))
    (tmp_path / "prometheus.yaml").write_text(prometheus(scope, str(tmp_path / "targets.json")))
    (tmp_path / "targets.json").write_text("[]")
    ran = subprocess.run(
        ["promtool", "check", "config", "prometheus.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    queries = [query.expr.replace("$RATE", "5m") for panel in panels(scope) for query in panel.queries]
    body = {
        "groups": [
            {"name": "g", "rules": [{"record": f"r{n}", "expr": one} for n, one in enumerate(queries)]}
        ]
    }
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump(body))
    ran = subprocess.run(
        ["promtool", "check", "rules", "queries.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def one(name: str, values: str, **labels: str) -> dict[str, str]:
    inside = ",".join(
        f'{key}="{value}"'
        for key, value in {"fleet": "shop", "namespace": "ml", "instance": "1", **labels}.items()
    )
    return {"series": f"{name}{{{inside}}}", "values": values}


SLOW = [
    one("vllm:time_to_first_token_seconds_bucket", "0+50x200", le="1.0"),
    one("vllm:time_to_first_token_seconds_count", "0+100x200"),
]
QUICK = [
    one("vllm:time_to_first_token_seconds_bucket", "0+100x200", le="1.0"),
    one("vllm:time_to_first_token_seconds_count", "0+100x200"),
]
ALERTS: list[tuple[str, str, list[dict[str, str]], list[dict[str, str]]]] = [
    (
        "StokerNoReplica",
        "10m",
        [one("up", "0x20"), one("up", "1x20", namespace="stage")],
        [one("up", "1x20"), one("up", "0x20", namespace="stage")],
    ),
    (
        "StokerQueueGrowing",
        "30m",
        [one("vllm:num_requests_waiting", "1+2x60")],
        [one("vllm:num_requests_waiting", "9x60")],
    ),
    ("StokerTtftObjectiveBurning", "90m", SLOW, QUICK),
    (
        "StokerItlObjectiveBurning",
        "90m",
        [
            one("vllm:inter_token_latency_seconds_bucket", "0+10x200", le="0.05"),
            one("vllm:inter_token_latency_seconds_count", "0+100x200"),
        ],
        [
            one("vllm:inter_token_latency_seconds_bucket", "0+999x200", le="0.05"),
            one("vllm:inter_token_latency_seconds_count", "0+1000x200"),
        ],
    ),
    (
        "StokerKvCacheFull",
        "30m",
        [one("vllm:kv_cache_usage_perc", "0.99x60"), one("vllm:num_preemptions_total", "0+3x60")],
        [one("vllm:kv_cache_usage_perc", "0.99x60"), one("vllm:num_preemptions_total", "5x60")],
    ),
    ("StokerStartTooLong", "15m", [one("up", "0x30")], [one("up", "0x5 1x25")]),
    (
        "StokerCrashLoop",
        "20m",
        [one("process_start_time_seconds", "1x5 2x5 3x5 4x5")],
        [
            one("process_start_time_seconds", "1x10 2x10"),
            one(
                "kube_pod_container_status_restarts_total",
                "0+1x20",
                pod="shop-big-7d9c-x2k",
                container="engine",
            ),
            one("kube_pod_container_status_restarts_total", "0+1x20", pod="shop-eu-0", container="engine"),
        ],
    ),
    (
        "StokerHpaAtMax",
        "30m",
        [
            {
                "series": hpa(name),
                "values": "5x60",
            }
            for name in ("status_current_replicas", "spec_max_replicas")
        ],
        [
            {
                "series": hpa("status_current_replicas"),
                "values": "4x60",
            },
            {
                "series": hpa("spec_max_replicas"),
                "values": "5x60",
            },
        ],
    ),
    (
        "StokerMetricsMissing",
        "15m",
        [one("up", "1x30")],
        [one("up", "1x30"), one("vllm:num_requests_running", "0x30")],
    ),
]


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_otherwise(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(rules(THERE, PROMISE))
    tests: list[dict[str, Any]] = []
    for name, at, bad, good in ALERTS:
        for series, expected in ((bad, True), (good, False)):
            count = f'count(ALERTS{{alertname="{name}",alertstate="firing"}})'
            tests.append(
                {
                    "interval": "1m",
                    "input_series": series,
                    "promql_expr_test": [
                        {
                            "expr": f"{count} > bool 0",
                            "eval_time": at,
                            "exp_samples": [{"labels": "{}", "value": 1}] if expected else [],
                        }
                    ],
                }
            )
    body = {"rule_files": ["rules.yaml"], "evaluation_interval": "30s", "tests": tests}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(body))
    ran = subprocess.run(
        ["promtool", "test", "rules", "tests.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    alerts = {rule["alert"] for group in groups(THERE, PROMISE) for rule in group["rules"] if "alert" in rule}
    assert alerts == {name for name, *_ in ALERTS}, "each has a test"
