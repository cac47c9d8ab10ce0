"""`stoker lint` of a spec's own scaling, and how it reads queries and quantities."""

import json
import re
from typing import Any

import pytest
from tests.support.scalers import WAITING, hpa, rules
from tests.unit import test_lint_scaling_figures as figures
from tests.unit import test_lint_scaling_names as names
from tests.unit import test_lint_scaling_objects as objects
from tests.unit import test_lint_scaling_pace as pace

from stoker.advise.lint import is_manifest, lint
from stoker.advise.lint.promql import LONGEST, read
from stoker.advise.lint.scaling.spec import lint_spec
from stoker.advise.lint.values import quantity
from stoker.catalog.rules import book
from stoker.spec import load

SPEC = "model: gs://b/m\nhardware: {gpu}:1\ntarget: kubernetes\nreplicas: 1..4\n"
OFF = "{selectPolicy: Disabled}"
SLOW = "behavior: {scaleUp: {policies: [{type: Pods, value: 1, periodSeconds: 600}]}}"
KEDA = "kubernetes: {scaler: keda, metrics: prometheus, keda: {%s}}\n"


def spec(scaling: str, more: str = "", gpu: str = "l4") -> list[tuple[str, str, str]]:
    """What is found in a spec: rule, severity and the text at its place."""
    text = SPEC.replace("{gpu}", gpu) + f"scaling: {{{scaling}}}\n{more}"
    out: list[tuple[str, str, str]] = []
    for one in lint_spec(load(text, "s.yaml")):
        file, line, column = one.at.split(":")
        assert file == "s.yaml"
        assert not re.search(r"\{\w+\}", f"{one.what} {one.why} {one.fix}"), one
        word = text.splitlines()[int(line) - 1][int(column) - 1 :]
        out.append((one.rule.removeprefix("lint-"), one.severity, word.split(":")[0]))
    return out


@pytest.mark.parametrize(
    ("scaling", "more", "gpu", "wanted"),
    [
        (f"metrics: {{batch-size: 250}}, {SLOW}", "", "l4", [("hpa-unreachable", "warning", "batch-size")]),
        (f"metrics: {{batch-size: 232}}, {SLOW}", "", "l4", []),
        (f"metrics: {{batch-size: 250}}, {SLOW}", "", "h100-80gb", []),
        (
            f"metrics: {{batch-size: 60}}, {SLOW}",
            "engine: {max-num-seqs: 64}\n",
            "h100-80gb",
            [("hpa-unreachable", "warning", "batch-size")],
        ),
        (f"metrics: {{batch-size: 58}}, {SLOW}", "engine: {max-num-seqs: 64}\n", "h100-80gb", []),
        (f"metrics: {{kv-cache: 95%}}, {SLOW}", "", "l4", [("hpa-unreachable", "warning", "kv-cache")]),
        (f"metrics: {{kv-cache: 0.9}}, {SLOW}", "", "l4", []),
        (
            "metrics: {kv-cache: 0.9}, behavior: {scaleUp: {tolerance: 0.2}}",
            "",
            "l4",
            [("hpa-unreachable", "warning", "kv-cache")],
        ),
        ("metrics: {queue-depth: 5}", "", "l4", [("hpa-behavior", "note", "scaling")]),
        ("metrics: {queue-depth: 5}", "target: local\n", "l4", []),
        (
            "metrics: {queue-depth: 5}, behavior: {scaleDown: {stabilizationWindowSeconds: 30}}",
            "",
            "l4",
            [("hpa-window", "warning", "stabilizationWindowSeconds")],
        ),
        ("metrics: {queue-depth: 5}, behavior: {scaleDown: {stabilizationWindowSeconds: 60}}", "", "l4", []),
        (
            "metrics: {queue-depth: 5}, behavior: {scaleUp: OFF, scaleDown: OFF}".replace("OFF", OFF),
            "",
            "l4",
            [("hpa-disabled", "warning", "behavior")],
        ),
        (
            "metrics: {queue-depth: 5}, behavior: {scaleUp: {selectPolicy: Max}}",
            KEDA % "polling: 15s",
            "l4",
            [("hpa-pace", "note", "scaleUp")],
        ),
        ("metrics: {queue-depth: 5}, behavior: {scaleUp: {selectPolicy: Max}}", "", "l4", []),
        (
            f"metrics: {{queue-depth: 5}}, {SLOW}",
            KEDA % "fallback: 9",
            "l4",
            [("keda-fallback", "warning", "fallback")],
        ),
        (f"metrics: {{queue-depth: 5}}, {SLOW}", KEDA % "fallback: 4", "l4", []),
        (
            f"metrics: {{queue-depth: 5}}, {SLOW}",
            KEDA % "cooldown: 60s",
            "l4",
            [("keda-cooldown", "note", "cooldown")],
        ),
    ],
)
def test_what_is_found_in_a_spec(
    scaling: str, more: str, gpu: str, wanted: list[tuple[str, str, str]]
) -> None:
    if more.startswith("target"):
        text = SPEC.replace("{gpu}", gpu).replace("target: kubernetes\n", "") + f"scaling: {{{scaling}}}\n"
        assert lint_spec(load(text, "s.yaml")) == ()
    else:
        assert spec(scaling, more, gpu) == wanted


def test_every_variant_of_a_rule_has_its_examples() -> None:
    shown = {(rule, case) for one in (figures, names, objects, pace) for rule, case, _, _ in one.CASES}
    wanted = {(row.id.removeprefix("lint-"), row.case) for row in book("scalers").rules}
    assert wanted - shown == {("two-scalers", "apart")}  # of two files


def test_a_fixed_fleet_has_no_scaling() -> None:
    assert lint_spec(load("model: gs://b/m\nhardware: l4:1\nreplicas: 2\n", "s.yaml")) == ()


def test_a_field_of_another_shape_is_named() -> None:
    body = hpa()
    body["spec"]["metrics"] = {"type": "Pods"}
    (one,) = [one for one in lint({"m.yaml": json.dumps(body, indent=1)}) if one.rule == "lint-shape"]
    assert "spec.metrics is {'type': 'Pods'}: expected a list" in one.why


def test_an_adapters_rules_are_read_beside_manifests() -> None:
    assert is_manifest(json.dumps(rules("a"), indent=1).replace('"', ""))
    assert not is_manifest("model: gs://b/m\n")


@pytest.mark.parametrize(
    ("query", "outer", "names", "one"),
    [
        (f"sum({WAITING})", "sum", {WAITING}, True),
        (f'sum({WAITING}{{namespace="a"}}) by (namespace)', "sum", {WAITING}, True),
        (f"sum by (pod) ({WAITING})", "sum", {WAITING}, False),
        (f"sum without (pod) ({WAITING})", "sum", {WAITING}, False),
        (f"(sum({WAITING})) or vector(0)", "sum", {WAITING}, True),
        (f"sum({WAITING}) or on() vector(0)", "sum", {WAITING}, True),
        (f"ceil(clamp_min(avg({WAITING}), 1))", "avg", {WAITING}, True),
        (f"sum({WAITING}) / count({WAITING})", None, {WAITING}, True),
        (f"sum({WAITING}) + 1", None, {WAITING}, True),
        (f"{WAITING}[5m] offset 1m", "selector", {WAITING}, True),
        (f'{{__name__="{WAITING}",pod="a"}}', "selector", {WAITING}, True),
        ('{__name__=~"vllm:.*"}', "selector", None, True),
        (f'{{"{WAITING}"}}', "selector", {WAITING}, True),
        (
            "histogram_quantile(0.9, sum by (le) (rate(a_bucket[5m])))",
            "histogram_quantile",
            {"a_bucket"},
            True,
        ),
        ('max(a{b="sum(c) or )"}) # and d', "max", {"a"}, True),
        ("sum(a", None, None, True),
        ("", None, None, True),
        ("a" * (LONGEST + 1), None, None, True),
    ],
)
def test_what_is_seen_of_a_query(query: str, outer: str | None, names: set[str] | None, one: bool) -> None:
    seen = read(query)
    assert (seen.outer, seen.names, seen.one) == (outer, None if names is None else frozenset(names), one)


def test_how_far_a_query_looks_back() -> None:
    assert read("sum(rate(a[1h30m])) - rate(b[5m:1m])").looks_back == 5400
    assert read("sum(rate(a[$__rate_interval]))").looks_back == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        (5, 5),
        ("2500m", 2.5),
        ("1k", 1000),
        ("2Gi", 2**31),
        ("1e3", 1000),
        (0.8, 0.8),
        ("-1", -1),
        ("x", None),
        (True, None),
        ("5x", None),
        ([], None),
        ("", None),
        ("1e999", None),
    ],
)
def test_quantities(text: Any, number: float | None) -> None:
    assert quantity(text) == number
