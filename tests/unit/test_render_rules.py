"""Rules and dashboards: promtool reads them, alerts fire and do not fire, and every name is one of the
release's."""

import json
import re
from pathlib import Path

import pytest

from stoker.advise.lint.dashboards import fixed, is_dashboard, lint_dashboard
from stoker.catalog import vllm
from stoker.render.dashboards import cloud, grafana
from stoker.render.panels import Scope, panels
from stoker.render.rules import BUCKETS, AlertObjectives, bucket
from stoker.render.scraping import rules

HERE = Scope("shop")
THERE = Scope("shop", "ml", scaled=True, gpus=True)
PROMISE = AlertObjectives({"ttft": 1.0, "itl": 0.05}, start=600.0)
PAGE = (Path(__file__).parents[1] / "data/metrics/vllm-0.32.txt").read_text()
NAMES = re.compile(r"vllm:[a-z0-9_]+")


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


# Alert, moment, series in which it fires, series in which it does not.


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
