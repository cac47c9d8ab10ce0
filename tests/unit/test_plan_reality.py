"""What runs against what was planned: vLLM's own lines beside the plan, and what the next plan says."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import models

from stoker.engine.log import StartLog
from stoker.events import Event, Progress
from stoker.fleet.state import FleetState, Replica
from stoker.operate import measured
from stoker.planner.explain import explain
from stoker.planner.plan import Plan
from stoker.planner.reality import compared, key
from stoker.planner.requested import plan_asked
from stoker.spec import load

OLD = (
    "INFO Model loading took 14.99 GiB memory and 4.1 seconds",
    "INFO Available KV cache memory: {kv} GiB",
    "INFO GPU KV cache size: {tokens:,} tokens, Maximum concurrency for 8,192 tokens per request: 58.1x",
    "INFO Actual usage is 14.99 GiB for weight, 1.89 GiB for peak activation, 0.25 GiB for non-torch memory, "
    "and"
    " 0.31 GiB for CUDAGraph memory.",
)
TEXT = (
    "model: {source: ./m, served_name: m}\nhardware: h100-80gb:1\nengine: {max-model-len: 8K, "
    "gpu-memory-utilization: 0.95}"
)


def plan(version: str = "0.19.0", text: str = TEXT) -> Plan:
    spec = load(text, "stoker.yaml")
    spec = replace(spec, engine=replace(spec.engine, version=version))
    return plan_asked(spec, models.shape(models.LLAMA_8B), "/m")


def log(kv: float = 58.11, tokens: int = 476_016) -> StartLog:
    said = StartLog()
    for line in OLD:
        said = said.feed(line.format(kv=kv, tokens=tokens))
    return said


def test_a_real_start_is_within_the_band() -> None:
    found = {one.name: one for one in compared(plan(), log())}
    assert set(found) == {"weights", "activations", "other", "KV cache", "tokens"}
    assert all(one.within for one in found.values()), [str(one) for one in found.values()]


def test_a_gap_is_named() -> None:
    found = [one for one in compared(plan(), log(kv=50.0, tokens=409_600)) if not one.within]
    assert [one.name for one in found] == ["KV cache", "tokens"]
    assert str(found[0]).startswith("KV cache 50.0 GiB of 58.1 GiB planned")


def test_newer_releases_print_weights_and_other_as_one() -> None:
    line = "Actual usage is 15.26 GiB for consumed memory (weights + non-torch), 1.44 GiB for peak activation"
    said = StartLog().feed(line)
    assert (said.consumed_gib, said.activations_gib, said.weights_gib) == (15.26, 1.44, None)
    assert StartLog().feed("num_gpu_blocks is: 29750").kv_blocks == 29750
    assert StartLog().feed("INFO # GPU blocks: 7351, # CPU blocks: 512").kv_blocks == 7351


@pytest.mark.parametrize(
    "other",
    [TEXT.replace("8K", "16K"), TEXT.replace("h100-80gb:1", "h200-141gb:1"), TEXT.replace(":1\n", ":2\n")],
)
def test_a_measurement_holds_for_the_same_plan_only(other: str) -> None:
    assert key(plan()) == key(plan())
    assert key(plan()) != key(plan(text=other))
    assert key(plan()) != key(plan("0.32.0"))


def started(file: Path, **figures: Any) -> FleetState:
    file.write_text("\n".join(line.format(**{"kv": 58.11, "tokens": 476_016} | figures) for line in OLD))
    return FleetState("m", "local", 0.0, replicas=(Replica("1", "Ready", 10.0, log=str(file), started=10.0),))


def test_the_next_plan_says_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    said: list[Event | Progress] = []
    made = plan()
    assert measured.of(made) is None
    measured.after_start(made, started(tmp_path / "log"), since=5.0, report=said.append)
    assert [(event.subject, event.mark) for event in said if isinstance(event, Event)] == [("plan", "ok")]
    kept = measured.of(made)
    assert kept is not None
    assert (kept["kv_gib"], kept["kv_tokens"]) == (58.11, 476_016)
    assert "measured   KV cache 58.11 GiB, 476,016 tokens" in explain(replace(made, measured=kept))


def test_a_gap_is_reported_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    said: list[Event | Progress] = []
    measured.after_start(plan(), started(tmp_path / "log", kv=50.0), since=5.0, report=said.append)
    assert [event.mark for event in said if isinstance(event, Event)] == ["warn"]
    assert measured.of(plan()) is not None


def test_replicas_that_ran_before_are_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    said: list[Event | Progress] = []
    measured.after_start(plan(), started(tmp_path / "log"), since=11.0, report=said.append)
    assert said == []
    assert measured.of(plan()) is None
