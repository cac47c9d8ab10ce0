"""The start-up budget of a plan, and what a start spent by its log."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests import models

from stoker.engine.start_phases import start_phases
from stoker.events import Event, Progress
from stoker.fleet.state import FleetState, Replica
from stoker.operate import measured
from stoker.planner.explain import explain
from stoker.planner.plan import Plan
from stoker.planner.requested import plan_asked
from stoker.planner.startup import startup, words
from stoker.spec import load

HERE = "model: {source: ./m, served_name: m}\nhardware: h100-80gb:1\n"
CLUSTER = HERE + "target: kubernetes\n"
# As vLLM 0.32 writes them, and lines between that end nothing.
LOG = (
    "W1128 03:39:22.456000 25135 torch/_library/triton.py:53] Triton not available",
    "(APIServer pid=1) INFO 11-28 23:59:55 [api_utils.py:347]  ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.32.0",
    "(APIServer pid=1) INFO 11-28 23:59:55 [model.py:733] Resolved architecture: LlamaForCausalLM",
    "(EngineCore pid=2) INFO 11-28 23:59:58 [core.py:133] Initializing a V1 LLM engine (v0.32.0) with config",
    "(Worker pid=3) INFO 11-29 00:00:01 [cpu_model_runner.py:68] Starting to load model /m...",
    "(Worker pid=3) INFO 11-29 00:00:03 [default_loader.py:501] Loading weights took 1.98 seconds",
    "(EngineCore pid=2) INFO 11-29 00:00:07 [core.py:402] init engine (profile, create kv cache) took 4.32 s",
    "(APIServer pid=1) INFO:     Application startup complete.",
)
BEGAN = 23 * 3600 + 59 * 60 + 40.5


def plan(text: str = CLUSTER, **options: str) -> Plan:
    made = plan_asked(load(text, "stoker.yaml"), models.shape(models.LLAMA_8B), "/m")
    return replace(made, options={**made.options, **options})


def seconds(made: Plan) -> dict[str, float]:
    return {one.name: round(one.seconds, 1) for one in startup(made)}


def test_phases_are_told_by_the_stamps_of_the_log_over_midnight() -> None:
    assert start_phases(LOG, BEGAN) == {
        "imports": 14.5,
        "engine core": 3.0,
        "worker": 3.0,
        "load": 2.0,
        "warm-up": 4.0,
        "API": 0.0,
    }


def test_a_log_that_breaks_off_tells_what_had_ended() -> None:
    assert list(start_phases(LOG[:4], BEGAN)) == ["imports", "engine core"]
    assert start_phases(["nothing"], BEGAN) == {}


def test_a_stamp_of_the_second_of_the_start_is_no_day() -> None:
    assert start_phases(LOG[1:2], 23 * 3600 + 59 * 60 + 55.9) == {"imports": 0.0}


def test_a_cluster_brings_node_image_and_weights_first() -> None:
    assert list(seconds(plan())) == ["node", "image", "weights", "start", "load", "warm-up"]
    assert list(seconds(plan(HERE))) == ["start", "load", "warm-up"]
    assert {one.known for one in startup(plan())} == {"default"}
    assert all(one.source for one in startup(plan()))


def test_weights_from_the_hub_take_longer_than_a_disk() -> None:
    hub = seconds(plan(CLUSTER + "kubernetes: {weights: hub}\n"))
    assert hub["weights"] > 10 * seconds(plan())["weights"]
    assert seconds(plan())["load"] == pytest.approx(18.0, abs=1.5)  # as its source has it for this model


def test_without_graphs_the_warm_up_is_short() -> None:
    made = plan()
    eager = replace(made, options={**made.options, "enforce-eager": True})
    assert seconds(eager)["warm-up"] < seconds(made)["warm-up"]


def test_what_a_start_measured_takes_the_place_of_defaults() -> None:
    kept = {"date": "2026-11-28", "start": {"start": 9.0, "load": 2.5, "warm-up": 3.0}}
    made = replace(plan(HERE), measured=kept)
    assert seconds(made) == {"start": 9.0, "load": 2.5, "warm-up": 3.0}
    assert {(one.known, one.source) for one in startup(made)} == {("measured", "a start of 2026-11-28")}
    assert words(startup(made)) == "14 s to the first token: start 9, load 2, warm-up 3 (measured here)"
    assert f"start-up   {words(startup(made))}" in explain(made)


def test_up_sets_what_it_measured_beside_the_plan_and_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    log, made = tmp_path / "log", plan(HERE)
    log.write_text("\n".join((*LOG, "INFO 11-29 00:00:07 [x.py:1] Model loading took 14.99 GiB memory")))
    began = time.mktime((2026, 11, 28, 23, 59, 40, 0, 0, -1)) + 0.5
    one = Replica("1", "Ready", began + 30.0, log=str(log), started=began)
    said: list[Event | Progress] = []
    measured.after_start(
        made, FleetState("m", "local", 0.0, replicas=(one,)), since=began, report=said.append
    )
    told = [event.text for event in said if isinstance(event, Event) and event.subject == "start-up"]
    assert told == ["30 s of 82 planned: start 20, load 2, warm-up 8"]
    kept = measured.of(made)
    assert kept is not None
    assert kept["start"] == {"start": 20.5, "load": 2.0, "warm-up": 7.5}
