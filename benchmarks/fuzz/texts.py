"""Manifests and dashboards of others: those of this project mutated, read by `lint`."""

from __future__ import annotations

import contextlib
import json
import random
from functools import cache
from typing import Any

import yaml

from benchmarks.fuzz import mutations
from benchmarks.fuzz.cases import ROOT, as_yaml, command, written


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
        found |= {str(key) for _, key in mutations.spots(tree)}
    return (*sorted(found), "", "<<", "items")


def make_manifest(chance: random.Random) -> tuple[bytes, bool]:
    """A file of manifests."""
    whole = chance.random() < 0.05
    if chance.random() < 0.005:
        return mutations.large(chance), whole
    if chance.random() < 0.3:
        text, other = (chance.choice(manifests_texts()).encode() for _ in range(2))
        return mutations.mutate_bytes(text, chance, other), whole
    trees = [chance.choice(manifest_trees()) for _ in range(chance.choice((1, 1, 2, 3)))]
    trees = [mutations.mutate_tree(tree, chance, manifest_keys()) for tree in trees]
    if chance.random() < 0.1:
        trees = [{"apiVersion": "v1", "kind": "List", "items": trees}]
    return mutations.raw("---\n".join(as_yaml(tree) for tree in trees)).encode(
        "utf-8", "surrogatepass"
    ), whole


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
    if chance.random() < 0.005:
        return mutations.large(chance), whole
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
