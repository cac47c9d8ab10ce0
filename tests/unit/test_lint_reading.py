"""What `stoker lint` reads: scripts, command lines, files by their form, kustomizations, queries."""

import json
from typing import Any

import pytest
from tests.support.scalers import BUDGET, pod

from stoker.advise.lint import lint, queries
from stoker.advise.lint.arguments import arguments
from stoker.advise.lint.dashboards import fixed, lint_dashboard
from stoker.advise.lint.forms import form
from stoker.advise.lint.images import moves, release_of
from stoker.advise.lint.invocations import invocations
from stoker.advise.lint.shell import UNKNOWN, commands
from stoker.catalog import vllm

SCRIPTS: list[tuple[str, list[list[str]]]] = [
    ("a b; c && d | e", [["a", "b"], ["c"], ["d"], ["e"]]),
    ("# don't\na 'b c' \"d e\"", [["a", "b c", "d e"]]),
    ("a \\\n  --b # c\n", [["a", "--b"]]),
    ("X='1 2'; a $X \"$X\" ${Y:-3} $Z", [["a", "1", "2", "1 2", "3", UNKNOWN]]),
    ("if [ -f x ]; then a; else b; fi", [["[", "-f", "x", "]"], ["a"], ["b"]]),
    ("cat > run.sh <<EOF\na --b\nEOF\nbash run.sh", [["cat"], ["bash", "run.sh"], ["a", "--b"]]),
    ("bash -lc -- 'a b'; eval \"c d\"", [["a", "b"], ["c", "d"]]),
    ("A=$(x (y) z) B=1 a > /dev/null 2>&1", [["a"]]),
    ("export TP=4\na $TP", [["a", "4"]]),
]


@pytest.mark.parametrize(("text", "expected"), SCRIPTS)
def test_a_script(text: str, expected: list[list[str]]) -> None:
    assert list(commands(text)) == expected


RUNS: list[tuple[dict[str, Any], list[tuple[str, tuple[str, ...]]]]] = [
    ({"image": "vllm/vllm-openai:v0.32.0", "args": ["/m"]}, [("serve", ("/m",))]),
    ({"command": ["vllm", "serve", "/m"], "args": ["-tp", "2"]}, [("serve", ("/m", "-tp", "2"))]),
    (
        {"command": ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model=a"]},
        [("serve", ("--model=a",))],
    ),
    ({"command": ["sh", "-c", "exec env A=1 uv run vllm serve /m"]}, [("serve", ("/m",))]),
    ({"command": ["sh", "-c", "vllm bench serve --model m"]}, [("bench", ("serve", "--model", "m"))]),
    ({"command": ["sh", "-c", "echo vllm serve"]}, []),
    (
        {"image": "a/engine:1", "args": ["--model", "m", "--tensor-parallel-size=2"]},
        [("serve", ("--model", "m", "--tensor-parallel-size=2"))],
    ),
    ({"image": "a/router:1", "args": ["--model", "m"]}, []),
]


@pytest.mark.parametrize(("container", "expected"), RUNS)
def test_the_starts_of_vllm(container: dict[str, Any], expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(one.does, one.words) for one in invocations(container)] == expected


SPELLINGS = (
    "-tp 8",
    "-tp=8",
    "--tensor-parallel-size=8",
    "--tensor_parallel_size 8",
    "--tensor-par 8",
    "-tp 2 -tp 8",
)


@pytest.mark.parametrize("words", SPELLINGS)
def test_every_spelling_of_a_size(words: str) -> None:
    assert arguments(["/m", *words.split()], "0.32.0").number("tensor-parallel-size", 1) == 8


def test_words_that_are_no_option() -> None:
    read = arguments(["/m", "--tensor", "--no-such=1", "-O3", "--enforce-eager"], "0.32.0")
    assert set(read.unknown) == {"--no-such"}
    assert read.get("optimization-level") == "3"
    assert read.get("enforce-eager") == "true"
    assert read.model == "/m"


FORMS: list[tuple[str, str, str]] = [
    ("a.yaml", "apiVersion: v1\nkind: Pod", "manifest"),
    ("a.json", '{"kind": "List", "items": []}', "manifest"),
    ("a.yaml", "a: {{ .Values.x }}", "helm"),
    ("values.yaml", "image: {tag: x}\nreplicas: 1", "values"),
    ("engine-values.yaml", "model: m\nhardware: cpu", "spec"),
    ("docker-compose.yml", "services: {a: {image: vllm}}", "compose"),
    ("config.json", '{"model_type": "llama", "hidden_size": 1}', "model config"),
    ("ci.yml", "on: push\njobs: {}", "workflow"),
    ("r.yaml", "groups: [{name: g, rules: []}]", "rules"),
    ("p.yaml", "- {op: add, path: /a, value: 1}", "patch"),
    ("gateway.tftpl.yaml", "apiVersion: v1\nkind: ${k}", "template"),
    ("s.yaml", "modle: m\nhardware: cpu", "spec"),
    ("c.json", '{"model": "m", "messages": []}', "other"),
]


@pytest.mark.parametrize(("name", "text", "expected"), FORMS)
def test_the_form_of_a_file(name: str, text: str, expected: str) -> None:
    assert form(name, text, asked=False) == expected or form(name, text) == expected


def test_a_base_with_its_overlay_is_one_object() -> None:
    two = pod(container={"resources": {}})
    two["spec"]["template"]["spec"]["containers"][0]["args"] = ["-tp=2"]
    patch = {
        "kind": "Deployment",
        "metadata": {"name": "v"},
        "spec": {
            "template": {
                "spec": {
                    "containers": [{"name": "engine", "resources": {"limits": {"nvidia.com/gpu": 1}}}],
                    "hostIPC": True,
                }
            }
        },
    }
    files = {
        "base/kustomization.yaml": "resources: [d.yaml, b.yaml]",
        "base/d.yaml": json.dumps(two, indent=1),
        "base/b.yaml": json.dumps(BUDGET),
        "over/kustomization.yaml": "resources: [../base]\nnamePrefix: x-\n"
        "patches:\n- path: p.yaml\n- path: j.yaml\n  target: {kind: Deployment}\n",
        "over/p.yaml": json.dumps(patch, indent=1),
        "over/j.yaml": "- {op: add, path: /spec/template/spec/containers/0/args/-, value: --swap-space=4}",
    }
    found = [(one.rule, one.at.partition(":")[0]) for one in lint(files)]
    assert found == [("lint-ranks", "base/d.yaml"), ("lint-option", "base/d.yaml")]
    lost = lint(
        {
            "over/kustomization.yaml": "resources: [../base]\npatches: [{path: p.yaml}]",
            "over/p.yaml": files["over/p.yaml"],
        }
    )
    assert [(one.rule, one.severity) for one in lost] == [("lint-not-read", "note")]


QUERIES: list[tuple[str, set[str], set[str]]] = [
    (
        "sum(rate(vllm:e2e_request_latency_seconds_bucket[5m]))",
        {"vllm:e2e_request_latency_seconds_bucket"},
        set(),
    ),
    ('{__name__="vllm:x"} or {"vllm:y"} or vllm:z{a="vllm:no"}', {"vllm:x", "vllm:y", "vllm:z"}, set()),
    ('sum({__name__=~"vllm:(a|b)"})', set(), {"vllm:(a|b)"}),
    ('sum by ($by) (rate(vllm:x{m=~"$m"}[$__rate_interval])) / $n', {"vllm:x"}, set()),
    ('label_values(vllm:x{a="b"}, model_name)', {"vllm:x"}, set()),
    ("-" * 200 + "vllm:x", {"vllm:x"}, set()),
]


@pytest.mark.parametrize(("query", "names", "patterns"), QUERIES)
@pytest.mark.parametrize("parser", [True, False])
def test_the_series_of_a_query(
    query: str, names: set[str], patterns: set[str], parser: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "parsed", lambda: parser)
    queries.selected.cache_clear()
    found = queries.selected(query)
    assert (found.names, found.patterns) == (names, patterns)


def dash(*exprs: str) -> str:
    return json.dumps(
        {"panels": [{"targets": [{"expr": one}]} for one in exprs], "title": "vllm:gpu_cache_usage_perc"}
    )


def test_a_dashboard_is_mended_where_it_stays_true() -> None:
    text = dash(
        'vllm:gpu_prefix_cache_hit_rate{a="b"}',
        "vllm:gpu_cache_usage_perc > 1",
        "rate(vllm:num_preemptions[5m])",
        "vllm:time_to_first_token_seconds",
        "avg_over_time(vllm:gpu_prefix_cache_hit_rate[5m])",
    )
    new, count = fixed(text, vllm.DEFAULT)
    queries_ = [one["targets"][0]["expr"] for one in json.loads(new)["panels"]]
    assert count == 3
    assert queries_ == [
        '(rate(vllm:prefix_cache_hits_total{a="b"}[5m]) / rate(vllm:prefix_cache_queries_total{a="b"}[5m]))',
        "vllm:kv_cache_usage_perc > 1",
        "rate(vllm:num_preemptions_total[5m])",
        "vllm:time_to_first_token_seconds",
        "avg_over_time(vllm:gpu_prefix_cache_hit_rate[5m])",
    ]
    assert json.loads(new)["title"] == "vllm:gpu_cache_usage_perc"


def test_what_a_feature_or_another_component_counts_is_not_dead() -> None:
    text = dash(
        "vllm:lora_requests_info", "vllm:current_qps", "vllm::all_reduce", "vllm:num_requests_running"
    )
    assert [(one.rule, one.severity) for one in lint_dashboard("d", text, vllm.DEFAULT)] == [
        ("dashboard-feature", "note")
    ]


def test_an_image_and_its_release() -> None:
    assert release_of("vllm/vllm-openai:v0.5.3.post1").version == "0.5.3.post1"
    assert not release_of("ghcr.io/llm-d/llm-d-cuda:v0.5.0").sure
    assert not moves("replaced-by-kustomize")
    assert moves("busybox")
