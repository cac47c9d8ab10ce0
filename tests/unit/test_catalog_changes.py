"""What came and went in vLLM's releases."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests import models

from stoker.catalog import vllm
from stoker.catalog.changes import Change, changes, missing
from stoker.catalog.memory import numbers
from stoker.errors import SpecError
from stoker.planner.requested import plan_asked
from stoker.spec import load

RELEASE = vllm.release(vllm.DEFAULT)


@pytest.mark.parametrize("row", changes(), ids=lambda row: row.name)
def test_every_row_has_its_sources_and_its_releases(row: Change) -> None:
    assert row.kind in ("option", "metric", "environment", "default")
    assert row.sources
    assert all(source.startswith(("https://", "vLLM 0.")) for source in row.sources)
    assert row.since or row.until
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in (row.since, row.until) if version)
    assert not (row.since and row.until) or numbers(row.since) < numbers(row.until)
    if row.kind == "option" and row.instead:
        assert RELEASE.option(row.instead)


def test_no_row_stands_twice() -> None:
    named = [(row.kind, row.name) for row in changes()]
    assert len(named) == len(set(named))


@pytest.mark.parametrize("row", [one for one in changes() if one.kind == "option"], ids=lambda row: row.name)
def test_options_agree_with_the_catalog(row: Change) -> None:
    assert row.there(RELEASE.version) == (row.name in RELEASE.options)


@pytest.mark.parametrize("row", [one for one in changes() if one.kind == "metric"], ids=lambda row: row.name)
def test_metrics_agree_with_the_catalog(row: Change) -> None:
    known = {name.removesuffix("_total") for name in RELEASE.metrics}
    assert row.there(RELEASE.version) == (row.name in known)
    assert not row.instead or row.instead in known


def test_environment_agrees_with_the_installed_vllm() -> None:
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:
        pytest.skip("vLLM is not installed in this environment")
    text = Path(found.origin).with_name("envs.py").read_text(encoding="utf-8")
    for row in changes():
        if row.kind == "environment":
            assert row.there(RELEASE.version) == (f'"{row.name}"' in text), row.name


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        ("0.11.0", []),
        ("0.12.0", ["disable-log-requests"]),
        ("0.17.1", ["disable-log-requests"]),
        ("0.18.0", ["disable-log-requests", "swap-space"]),
    ],
)
def test_what_a_release_does_not_have(version: str, absent: list[str]) -> None:
    found = missing("option", ["swap-space", "disable-log-requests", "max-model-len"], version)
    assert [row.name for row in found] == absent


def test_an_option_that_is_gone_says_since_when_and_what_instead() -> None:
    with pytest.raises(SpecError) as caught:
        load("model: m\nengine: {disable_log_requests: true}\n")
    finding = caught.value.finding
    assert finding.what == "engine.disable_log_requests is no option of vLLM 0.32.0"
    assert "gone since 0.12.0" in finding.why
    assert finding.fix == "use --enable-log-requests"


def test_a_plan_warns_of_what_its_release_does_not_have() -> None:
    spec = load("hardware: l4\nengine: {max-model-len: 8K, env: {VLLM_USE_V1: '1'}}\n")
    shape = models.shape(models.LLAMA_8B)
    new = plan_asked(spec, shape, "/m").warnings
    assert [text for text in new if "VLLM_USE_V1" in text and "leave VLLM_USE_V1 out" in text]
    old = plan_asked(replace(spec, engine=replace(spec.engine, version="0.11.0")), shape, "/m").warnings
    assert not [text for text in old if "VLLM_USE_V1" in text]


def test_a_plan_over_nodes_warns_of_a_release_without_them() -> None:
    spec = load("hardware: l4:2\nstrategy: multi-node\n")
    old = replace(spec, engine=replace(spec.engine, version="0.11.0"))
    found = plan_asked(old, models.shape(models.LLAMA_8B), "/m").warnings
    assert [text for text in found if "vLLM 0.11.0 has no --nnodes" in text]
