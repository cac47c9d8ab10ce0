"""Rules and dashboards: promtool reads them, alerts fire and do not fire, and every name is one of the
release's."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from stoker.advise.lint.dashboards import fixed, is_dashboard, lint_dashboard
from stoker.catalog import vllm
from stoker.render.dashboards import cloud, grafana
from stoker.render.panels import Scope, panels
from stoker.render.rules import BUCKETS, AlertObjectives, bucket, groups
from stoker.render.scraping import prometheus, rules

HERE = Scope("shop")
THERE = Scope("shop", "ml", scaled=True, gpus=True)
PROMISE = AlertObjectives({"ttft": 1.0, "itl": 0.05}, start=600.0)
PAGE = (Path(__file__).parents[1] / "data/metrics/vllm-0.32.txt").read_text()
NAMES = re.compile(r"vllm:[a-z0-9_]+")
needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: apt-get install prometheus"
)


def families(text: str) -> set[str]:
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAMES.findall(text)}


@pytest.mark.parametrize("scope", [HERE, THERE], ids=["here", "there"])
def test_every_metric_is_one_of_the_release(scope: Scope) -> None:
    known = vllm.release("0.32.0").metrics
    text = grafana(scope) + cloud(scope) + rules(scope, PROMISE)
    found = families(text)
    assert len(found) > 12
    assert found - set(known) == set()
    assert lint_dashboard("d.json", grafana(scope), "0.32.0") == ()


def test_the_guides_nine_panels_come_first() -> None:
    titles = [panel.title for panel in panels(HERE)][:9]
    assert titles == [
        "End-to-end request latency",
        "Token throughput",
        "Inter-token latency",
        "Scheduler state",
        "Time to first token",
        "Cache utilization",
        "Prompt length",
        "Generation length",
        "Finish reason",
    ]
    rows = {panel.row for panel in panels(THERE)}
    assert rows == {"Engine", "Fleet", "Autoscaling", "GPU"}


def test_both_dashboards_hold_every_panel() -> None:
    body, other = json.loads(grafana(THERE)), json.loads(cloud(THERE))
    titles = [panel.title for panel in panels(THERE)]
    assert [one["title"] for one in body["panels"] if one["type"] != "row"] == titles
    assert [one["widget"]["title"] for one in other["mosaicLayout"]["tiles"]] == titles
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in body["panels"]]
    assert len(places) == len(set(places))
    assert "$RATE" not in grafana(THERE) + cloud(THERE)


def test_an_objective_is_watched_at_a_bucket_that_vllm_has() -> None:
    for name, (family, bounds) in BUCKETS.items():
        real = {float(le) for le in re.findall(rf'vllm:{family}_bucket{{[^}}]*le="([\d.]+)"', PAGE)}
        assert set(bounds) == real, name
    assert bucket("ttft", 1.0) == 1.0
    assert bucket("ttft", 0.3) == 0.5
    assert bucket("itl", 1e9) == 80.0


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


# Alert, moment, series in which it fires, series in which it does not.
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
                "series": f'kube_horizontalpodautoscaler_{name}{{namespace="ml",horizontalpodautoscaler="shop"}}',
                "values": "5x60",
            }
            for name in ("status_current_replicas", "spec_max_replicas")
        ],
        [
            {
                "series": 'kube_horizontalpodautoscaler_status_current_replicas{namespace="ml",horizontalpodautoscaler="shop"}',
                "values": "4x60",
            },
            {
                "series": 'kube_horizontalpodautoscaler_spec_max_replicas{namespace="ml",horizontalpodautoscaler="shop"}',
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


OLD = (
    '{"panels": [{"expr": "vllm:gpu_cache_usage_perc"},\n {"expr": '
    '"rate(vllm:time_per_output_token_seconds_sum[5m])"},\n {"expr": "vllm:num_requests_swapped"}]}'
)


def test_dead_names_of_a_dashboard_are_found_and_written_anew() -> None:
    assert is_dashboard(OLD)
    found = lint_dashboard("old.json", OLD, "0.32.0")
    assert [one.at for one in found] == ["old.json:1:23", "old.json:2:17", "old.json:3:12"]
    assert found[0].fix == "vllm:kv_cache_usage_perc, which --fix writes"
    text, count = fixed(OLD, "0.32.0")
    assert count == 2
    assert "vllm:inter_token_latency_seconds_sum" in text
    assert [one.at for one in lint_dashboard("old.json", text, "0.32.0")] == ["old.json:3:12"], (
        "V1 swaps no more"
    )
    assert fixed(OLD, "0.8.0")[1] == 0, "that release had them"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"apiVersion": "v1", "panels": []}', "panels: []"])
def test_other_files_are_no_dashboards(text: str) -> None:
    assert not is_dashboard(text)
