"""The files of a fleet that a Stoker before causes has written: read, adopted, its deaths explained."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.deaths import LOGS

from stoker.advise.why import why
from stoker.engine.last_error import last_error
from stoker.fleet.state import FleetState, Rank, Replica
from stoker.system.files import keep_json
from stoker.targets.local import adoption
from stoker.targets.local.folder import Folder, Record
from stoker.targets.local.observation import look

OLD = Path(__file__).parents[1] / "data/state/state-before-causes.json"
WORDS = "max-model-len 100000 is above the model's 8192"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "shop")
    made.make()
    text = OLD.read_text(encoding="utf-8").replace("LOGS/", f"{made.logs}/")
    raw: dict[str, Any] = json.loads(text)
    keep_json(made.state_file, raw)
    return made


def state_of(folder: Folder) -> FleetState:
    return look(folder, "shop")


def test_it_is_read_and_what_runs_is_adopted(folder: Folder) -> None:
    record = folder.record()
    assert isinstance(record, Record)
    children = adoption.adopt(folder, record, record.wanted)
    assert [(one.process.key, one.phase, one.restarts) for one in children] == [
        ("engine-1", "Failed", 1),
        ("engine-2", "Failed", 2),
        ("gateway", "Ready", 1),
    ]
    assert [one.last_error for one in children] == [WORDS, "killed by SIGKILL", "exit code 1"]


def test_where_its_log_is_there_the_cause_is_read_once_more(folder: Folder) -> None:
    log = (LOGS / "vllm-0.32.0-cpu-max-model-len.log").read_text(encoding="utf-8")
    (folder.logs / "engine-1.1.log").write_text(log, encoding="utf-8")
    state = state_of(folder)
    first, second = state.replicas
    assert first.cause is not None
    assert (first.cause.rule, first.cause.fix) == ("engine-length", "max-model-len: 8192 or less")
    assert second.cause is not None
    assert second.cause.rule == "why-engine", "its words are evidence, and no rule reads them back"
    assert state.stopped is not None
    assert state.stopped.cause is not None
    assert [one.rule for one in why(state, 1000.0)] == ["engine-length", "engine-length", "why-engine"]
    child = adoption.adopt(folder, folder.record(), None)[0]
    assert child.cause is not None
    assert child.cause.rule == "engine-length"


def test_without_its_log_its_words_are_what_is_known(folder: Folder) -> None:
    first = state_of(folder).replicas[0]
    assert first.cause is not None
    assert (first.cause.rule, first.cause.what, first.last_error) == ("why-engine", WORDS, WORDS)


def test_another_log_by_now_tells_nothing_of_an_old_death(folder: Folder) -> None:
    (folder.logs / "engine-1.1.log").write_text("ValueError: the moon is full\n", encoding="utf-8")
    first = state_of(folder).replicas[0]
    assert first.cause is not None
    assert first.cause.rule == "why-engine"


def test_what_ended_while_nobody_watched_is_read_out_of_its_log(folder: Folder) -> None:
    """And not explained by the end of a life before it."""
    record = folder.record()
    assert record is not None
    rank = Rank(0, "host", "Ready", 2**22 + 1)  # above the largest pid
    stale = last_error(["torch.OutOfMemoryError: CUDA out of memory."])
    log = folder.logs / "engine-1.2.log"
    one = Replica("1", "Ready", 1.0, ranks=(rank,), log=str(log), last_error=stale.what, cause=stale)
    folder.report(replace(record, fleet=replace(record.fleet, replicas=(one,), stopped=None)))
    (dead,) = state_of(folder).replicas
    assert (dead.phase, dead.cause) == ("Failed", None)
    log.write_text("ValueError: No available memory for the cache blocks.\n", encoding="utf-8")
    (dead,) = state_of(folder).replicas
    assert dead.cause is not None
    assert dead.cause.rule == "engine-kv"
