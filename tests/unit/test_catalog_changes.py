"""What came and went in vLLM's releases."""

import importlib.util
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests import models

from stoker.catalog import releases, vllm
from stoker.catalog.changes import Kind, Told, missing, of_kind, told_rows
from stoker.errors import SpecError
from stoker.planner.requested import plan_asked
from stoker.spec import load

RELEASE = vllm.release(vllm.DEFAULT)


@pytest.mark.parametrize("told", told_rows().values(), ids=lambda told: told.name)
def test_every_row_has_its_sources_and_contradicts_no_span(told: Told) -> None:
    assert told.sources
    assert all(source.startswith(("https://", "vLLM 0.")) for source in told.sources)
    if told.kind == "default":
        assert re.fullmatch(r"\d+\.\d+\.\d+", told.since)
        return
    assert not told.since
    row = of_kind(told.kind)[told.name]
    assert row.since or row.until


@pytest.mark.parametrize("told", told_rows().values(), ids=lambda told: told.name)
def test_what_to_use_instead_is_in_the_release_that_dropped_it(told: Told) -> None:
    if told.kind == "default" or not told.instead:
        return
    row = of_kind(told.kind)[told.name]
    (absent,) = missing(told.kind, [told.name], row.until or vllm.KNOWN[0])
    assert absent.instead in told.instead


KINDS: tuple[Kind, ...] = ("option", "environment", "metric")


def test_every_fix_names_something_that_the_release_has() -> None:
    for version in vllm.KNOWN:
        release = vllm.release(version)
        for row in (row for kind in KINDS for row in missing(kind, of_kind(kind), version) if row.instead):
            if row.kind == "metric":
                assert {row.instead, f"{row.instead}_total"} & set(release.metrics), (version, row)
            else:
                known = release.option(row.instead) is not None or row.instead in release.environment
                assert known, (version, row)


def test_what_went_since_the_oldest_release_is_explained() -> None:
    """Every option that an old file may hold has a note, or something to use instead."""
    oldest = set(releases.facts("options", vllm.KNOWN[0]))
    gone = [row for name, row in of_kind("option").items() if name in oldest and row.until]
    assert [row.name for row in gone if not (row.note or row.instead)] == []
    assert len(gone) > 30


def test_environment_agrees_with_the_installed_vllm() -> None:
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:
        pytest.skip("vLLM is not installed in this environment")
    text = Path(found.origin).with_name("envs.py").read_text(encoding="utf-8")
    for name, row in of_kind("environment").items():
        if name.startswith("VLLM_"):
            assert row.there(RELEASE.version) == (f'"{name}":' in text), name


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        ("0.11.0", []),
        ("0.16.0", []),
        ("0.17.1", ["disable-log-requests"]),
        ("0.18.0", ["swap-space", "disable-log-requests"]),
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
    assert "gone since 0.17.0" in finding.why
    assert finding.fix == "leave --disable-log-requests out"


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
