"""Specs: valid ones mutated, read to a plan and what is rendered of it."""

from __future__ import annotations

import contextlib
import json
import random
import re
from functools import cache
from typing import Any

import yaml
from tests import models
from tests.golden.cases import CASES

from benchmarks.fuzz import mutations
from benchmarks.fuzz.cases import ROOT, Bad, as_yaml, command, machine, written
from stoker.errors import SpecError


@cache
def specs() -> tuple[str, ...]:
    """Valid specs: the examples', the golden cases', and those of the documentation."""
    found = [path.read_text() for path in sorted(ROOT.glob("examples/*/stoker.yaml"))]
    found += [text for text, _ in CASES.values()]
    for page in sorted(ROOT.glob("docs/**/*.md")):
        found += re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S)
    return tuple(found)


@cache
def spec_keys() -> tuple[str, ...]:
    """Names of fields, and of vLLM's options."""
    from stoker.catalog import vllm
    from stoker.spec.template import schema

    fields = set(re.findall(r'"([A-Za-z_]+)": \{"(?:anyOf|default|description|type)', json.dumps(schema())))
    return (*sorted(fields), *vllm.release(vllm.DEFAULT).options, "", "<<", "a.b", "nowhere")


@cache
def spec_trees() -> tuple[Any, ...]:
    """The specs as values, and one with every field that there is."""
    trees = []
    for text in specs():
        with contextlib.suppress(yaml.YAMLError):
            trees.append(yaml.safe_load(text))
    full = yaml.safe_load(_FULL)
    return (*[tree for tree in trees if isinstance(tree, dict)], *[full] * 20)


_FULL = """
name: shop
model: {source: hf://org/repo, revision: main, served_name: s, token: "env:T", adapters: {a: gs://b/a}}
hardware: {gpu: l4, count: 2, machine: g2-standard-24, price: 1.5}
strategy: tensor-parallel
engine: {version: 0.32.0, image: vllm/vllm-openai:v0.32.0, env: {A: b}, max-model-len: 8K, max-num-seqs: 4, gpu-memory-utilization: 0.9,
  compilation-config: {mode: 3}, tensor-parallel-size: 2, kv-cache-dtype: auto, dtype: bfloat16, block-size: 16, seed: 1}
replicas: 1..5
scaling: {metrics: {queue-depth: 5}, behavior: {scaleUp: {stabilizationWindowSeconds: 1, selectPolicy: Max, tolerance: 0.1, policies: [{type: Pods, value: 1, periodSeconds: 5}]}}}
slo: {ttft: 1s, itl: 50ms}
endpoint: {host: 127.0.0.1, port: 8000, api_key: "env:K", queue_timeout: 30s, max_body: 1MiB, cors: ["https://a.b"], page: true, page_port: 8002}
target: kubernetes
drain_timeout: 5m
memory: 2GiB
kubernetes: {context: ctx, namespace: ns, platform: gke, weights: disk, disk: {type: pd-ssd, size: 200Gi, zones: [z]}, metrics: stackdriver,
  monitoring: {namespace: m, labels: {a: b}}, service_account: sa, capacity: [spot], surge: true, priority_class: p, node_selector: {a: b},
  tolerations: [{key: k, operator: Exists, effect: NoSchedule}], labels: {a: b}, annotations: {a: b}, image: i, routing: gateway,
  gateway: {class_name: g, host: h.example, tls_secret: t, proxies: [10.0.0.0/8], picker_image: p}, logs: json, project: p, network_policy: true, clients: {a: b}}
"""


def make(chance: random.Random) -> tuple[bytes, bool]:
    """A spec's text, and whether the command line reads it too."""
    whole, how = chance.random() < 0.05, chance.random()
    if how < 0.005:
        return mutations.large(chance), whole
    if how < 0.2:
        text, other = chance.choice(specs()).encode(), chance.choice(specs()).encode()
        return mutations.mutate_bytes(text, chance, other), whole
    if how < 0.6:
        tree = plausible(chance)
    else:
        tree = mutations.mutate_tree(chance.choice(spec_trees()), chance, spec_keys())
    plain = as_yaml(tree) if chance.random() < 0.7 else json.dumps(tree)
    return mutations.raw(plain).encode("utf-8", "surrogatepass"), whole


def plausible(chance: random.Random) -> Any:
    """A spec that may well be read: fields left out, and options of vLLM with values of their kinds, however
    large."""
    tree = _thinned(spec_trees()[-1], chance)
    engine = tree.setdefault("engine", {})
    for option in chance.sample(_options(), chance.choice((0, 1, 2, 5))):
        engine[option.name] = _value(option, chance)
    if chance.random() < 0.3:
        tree["target"] = "local"
    if chance.random() < 0.1:
        engine["kind"] = "simulated"
    if chance.random() < 0.3:
        places = [(here, key) for here, key in mutations.spots(tree) if isinstance(here[key], int | float)]
        here, key = chance.choice(places or [(tree, "replicas")])
        here[key] = chance.choice((0, 1, 2, 7, 64, 1000, 65535, 10**6, 10**12, 2**62, 0.001, 0.5))
    return tree


_NEEDED = {
    "metrics",
    "queue-depth",
    "type",
    "value",
    "periodSeconds",
    "scaling",
    "source",
    "image",
    "api_key",
}


def _thinned(tree: Any, chance: random.Random) -> Any:
    if isinstance(tree, dict):
        kept = {key: value for key, value in tree.items() if key in _NEEDED or chance.random() < 0.75}
        return {key: _thinned(value, chance) for key, value in kept.items()}
    return [_thinned(value, chance) for value in tree] if isinstance(tree, list) else tree


@cache
def _options() -> tuple[Any, ...]:
    from stoker.catalog import vllm
    from stoker.spec.options import WRITTEN

    return tuple(one for name, one in vllm.release(vllm.DEFAULT).options.items() if name not in WRITTEN)


def _value(option: Any, chance: random.Random) -> Any:
    number = chance.choice((1, 2, 3, 8, 100, 4096, 10**6, 2**31, 10**12, 2**62))
    kinds = {
        "bool": chance.random() < 0.5,
        "int": number,
        "float": number / chance.choice((1, 10, 10**6)),
        "str": chance.choice(("x", "auto", "a/b", "")),
        "json": chance.choice(
            (
                {},
                {"a": 1},
                {"mode": 3},
                [1],
                "{}",
                {"method": "ngram", "num_speculative_tokens": 3},
                {"rope_type": "yarn", "factor": 4.0},
            )
        ),
        "tokens": chance.choice((number, f"{number % 10**6 + 1}K", "1M", "auto", "1.5k")),
    }
    value = chance.choice(option.choices) if option.choices else kinds[option.kind]
    return [value, value] if option.many and chance.random() < 0.5 else value


@cache
def _shapes() -> Any:
    return models.shape(models.LLAMA_8B)


def read(case: tuple[bytes, bool]) -> None:
    """From text to a plan and its manifests, or to what a machine would run; and out and back."""
    from stoker.operate.stored import load_stored
    from stoker.spec import dump, load

    text, whole = case
    if whole:
        with written("stoker.yaml", text):
            command("lint", "stoker.yaml")
            if b"demo:" not in text and re.search(
                rb"(^|[{, ])[\"']?model[\"']?:", text
            ):  # the demo is converted first
                command("plan", "-f", "stoker.yaml", "--set", "model.source=./nowhere")
        return
    try:
        spec = load(text.decode("utf-8"), "stoker.yaml")
    except UnicodeDecodeError:
        return
    except SpecError as error:
        _complete(error)
        return
    if load_stored(json.loads(json.dumps(dump(spec)))) != spec:
        raise Bad("the spec is another one after it was stored")
    _planned(spec)


def _complete(error: SpecError) -> None:
    """Whether an error of the file says where, what and why."""
    finding = error.finding
    if not re.search(r":\d+:\d+$", finding.at):
        raise Bad(f"no place: {finding}")
    if not (finding.what and finding.why and finding.fix and finding.rule):
        raise Bad(f"not complete: {finding} ({finding.rule})")


def _planned(spec: Any) -> None:
    from stoker.planner.explain import explain
    from stoker.planner.local import plan_local
    from stoker.planner.requested import plan_asked
    from stoker.planner.unknown_shape import unsized
    from stoker.render.command import shown
    from stoker.render.manifests import manifests
    from stoker.render.processes import processes

    if spec.target == "kubernetes":
        plan = unsized(spec, None) if spec.engine.kind == "simulated" else plan_asked(spec, _shapes(), "m")
        for one in manifests(plan):
            one.text()
    else:
        plan = plan_local(spec, None if spec.engine.kind == "simulated" else _shapes(), machine(), "/m")
        processes(plan, "/fleet")
    explain(plan, shown(plan))
