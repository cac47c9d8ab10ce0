"""The kinds of input: what a case is made of, and what reads it. A further kind is a further row of KINDS."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from tests import models
from tests.golden.cases import CASES

from benchmarks.fuzz import mutations
from stoker.errors import SpecError, StokerError

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Kind:
    """make: a case by its chance; read: whatever reads it, which may raise StokerErrors alone."""

    make: Callable[[random.Random], Any]
    read: Callable[[Any], None]


class Bad(Exception):
    """Stoker ended in its own words, and they lack something."""


def command(*words: str) -> None:
    """The command line in this process. Raises: Bad, for an error that nobody foresaw."""
    from stoker.cli.main import run

    said, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(errors),
        contextlib.suppress(SystemExit),
    ):
        run(words)
    if "unexpected" in errors.getvalue() or "Traceback" in errors.getvalue():
        raise Bad(errors.getvalue()[-800:])


@contextlib.contextmanager
def written(name: str, text: bytes) -> Any:
    """A file of that name in a folder of its own, which is the working one."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    before = os.getcwd()
    try:
        (folder / name).write_bytes(text)
        os.chdir(folder)
        yield folder / name
    finally:
        os.chdir(before)
        shutil.rmtree(folder, ignore_errors=True)


# specs


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
endpoint: {host: 127.0.0.1, port: 8000, api_key: "env:K", hold: 30s, max_body: 1MiB, cors: ["https://a.b"], page: true, page_port: 8002}
target: kubernetes
drain_timeout: 5m
memory: 2GiB
kubernetes: {context: c, namespace: n, platform: gke, weights: disk, disk: {type: pd-ssd, size: 200Gi, zones: [z]}, metrics: stackdriver,
  monitoring: {namespace: m, labels: {a: b}}, service_account: sa, capacity: [spot], surge: true, priority_class: p, node_selector: {a: b},
  tolerations: [{key: k, operator: Exists, effect: NoSchedule}], labels: {a: b}, annotations: {a: b}, image: i, routing: gateway,
  gateway: {class_name: g, host: h.example, tls_secret: t, proxies: [10.0.0.0/8], picker_image: p}, logs: json, project: p, network_policy: true, clients: {a: b}}
"""


def make_spec(chance: random.Random) -> tuple[bytes, bool]:
    """A spec's text, and whether the command line reads it too."""
    if chance.random() < 0.35:
        text, other = chance.choice(specs()).encode(), chance.choice(specs()).encode()
        return mutations.mutate_bytes(text, chance, other), chance.random() < 0.05
    tree = mutations.mutate_tree(chance.choice(spec_trees()), chance, spec_keys())
    text = _yaml(tree) if chance.random() < 0.7 else json.dumps(tree)
    return mutations.raw(text).encode("utf-8", "surrogatepass"), chance.random() < 0.05


def _yaml(tree: Any) -> str:
    return yaml.dump(tree, Dumper=yaml.CSafeDumper, allow_unicode=True, sort_keys=False, width=1000)


@cache
def _shapes() -> Any:
    return models.shape(models.LLAMA_8B)


def read_spec(case: tuple[bytes, bool]) -> None:
    """From text to a plan and its manifests, or to what a machine would run; and out and back."""
    from stoker.operate.fleet import load_stored
    from stoker.spec import dump, load

    text, whole = case
    if whole:
        with written("stoker.yaml", text):
            command("lint", "stoker.yaml")
            command("plan", "-f", "stoker.yaml")
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
    if not (finding.what and finding.why and finding.rule):
        raise Bad(f"not complete: {finding} ({finding.rule})")


def _planned(spec: Any) -> None:
    from stoker.planner.asked import plan_asked
    from stoker.planner.explain import explain
    from stoker.planner.local import plan_local
    from stoker.planner.unsized import unsized
    from stoker.render.command import shown
    from stoker.render.manifests import manifests
    from stoker.render.processes import processes

    if spec.target == "kubernetes":
        plan = unsized(spec, None) if spec.engine.kind == "simulated" else plan_asked(spec, _shapes(), "m")
        for one in manifests(plan):
            one.text()
    else:
        plan = plan_local(spec, None if spec.engine.kind == "simulated" else _shapes(), _machine(), "/m")
        processes(plan, "/fleet")
    explain(plan, shown(plan))


@cache
def _machine() -> Any:
    from stoker.planner.plan import Hardware
    from stoker.units import Bytes

    return Hardware(tuple(range(8)), Bytes(64 * 1024**3), Bytes(60 * 1024**3), features=frozenset({"avx2"}))


# manifests and dashboards


@cache
def manifests_texts() -> tuple[str, ...]:
    """Manifests that Stoker renders, the guide's, and definitions."""
    places = (
        "tests/golden/manifests/*.yaml",
        "tests/data/guide/*.yaml",
        "examples/*/expected/manifests/*.yaml",
    )
    return tuple(path.read_text() for place in places for path in sorted(ROOT.glob(place)))


@cache
def manifest_trees() -> tuple[Any, ...]:
    """Their objects."""
    return tuple(
        tree
        for text in manifests_texts()
        for tree in yaml.load_all(text, Loader=yaml.CSafeLoader)
        if isinstance(tree, dict)
    )


@cache
def manifest_keys() -> tuple[str, ...]:
    """Every key in them."""
    found: set[str] = set()
    for tree in manifest_trees():
        found |= {str(key) for _, key in mutations._spots(tree)}
    return (*sorted(found), "", "<<", "items")


def make_manifest(chance: random.Random) -> tuple[bytes, bool]:
    """A file of manifests."""
    whole = chance.random() < 0.05
    if chance.random() < 0.3:
        text, other = (chance.choice(manifests_texts()).encode() for _ in range(2))
        return mutations.mutate_bytes(text, chance, other), whole
    trees = [chance.choice(manifest_trees()) for _ in range(chance.choice((1, 1, 2, 3)))]
    trees = [mutations.mutate_tree(tree, chance, manifest_keys()) for tree in trees]
    if chance.random() < 0.1:
        trees = [{"apiVersion": "v1", "kind": "List", "items": trees}]
    return mutations.raw("---\n".join(_yaml(tree) for tree in trees)).encode("utf-8", "surrogatepass"), whole


def read_manifest(case: tuple[bytes, bool]) -> None:
    """`lint`'s rules over the file."""
    from stoker.advise.lint import is_manifest, lint

    text, whole = case
    if whole:
        with written("m.yaml", text):
            command("lint", "m.yaml", "-o", "sarif")
        return
    with contextlib.suppress(UnicodeDecodeError):
        plain = text.decode("utf-8")
        is_manifest(plain)
        lint({"m.yaml": plain})


@cache
def dashboards() -> tuple[str, ...]:
    """Dashboards of both kinds, as Stoker writes them, and one of names that are gone."""
    from stoker.render.dashboards import cloud, grafana
    from stoker.render.panels import Scope

    old = {
        "title": "x",
        "panels": [{"targets": [{"expr": "rate(vllm:time_per_output_token_seconds_bucket[1m])"}]}],
    }
    return grafana(Scope("shop")), cloud(Scope("shop")), json.dumps(old, indent=1)


def make_dashboard(chance: random.Random) -> tuple[bytes, bool]:
    """A dashboard's JSON."""
    whole = chance.random() < 0.05
    text = chance.choice(dashboards())
    if chance.random() < 0.4:
        return mutations.mutate_bytes(text.encode(), chance, chance.choice(dashboards()).encode()), whole
    tree = mutations.mutate_tree(
        json.loads(text), chance, ("panels", "dashboard", "apiVersion", "expr", "", "rows")
    )
    return mutations.raw(json.dumps(tree, indent=chance.choice((None, 2)))).encode(
        "utf-8", "surrogatepass"
    ), whole


def read_dashboard(case: tuple[bytes, bool]) -> None:
    """`lint` of a dashboard, and what --fix would write."""
    from stoker.advise.lint.dashboards import fixed, is_dashboard, lint_dashboard
    from stoker.catalog import vllm

    text, whole = case
    if whole:
        with written("d.json", text):
            command("lint", "d.json")
        return
    with contextlib.suppress(UnicodeDecodeError):
        plain = text.decode("utf-8")
        if is_dashboard(plain):
            lint_dashboard("d.json", plain, vllm.DEFAULT)
            fixed(plain, vllm.DEFAULT)


def _models() -> Kind:
    from benchmarks.fuzz import folders

    return Kind(folders.make, folders.read)


# the name of a kind, and how it is made and read; state files of a local fleet would be one more row
KINDS: Mapping[str, Callable[[], Kind]] = {
    "spec": lambda: Kind(make_spec, read_spec),
    "manifest": lambda: Kind(make_manifest, read_manifest),
    "dashboard": lambda: Kind(make_dashboard, read_dashboard),
    "model": _models,
}


def run(name: str, number: int) -> str | None:
    """One case: None, or what was wrong with how it ended."""
    kind = KINDS[name]()
    case = kind.make(random.Random(f"{name}:{number}"))
    try:
        kind.read(case)
    except StokerError:
        return None
    except Exception as error:  # whatever it is, it is a find
        import traceback

        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{place.filename.rpartition('/src/')[2]}:{place.lineno}"
        return f"{type(error).__name__}: {str(error)[:300]} at {where}"
    return None
