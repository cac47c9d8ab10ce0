"""A key that had another name in an earlier release is read, and a note names the new one."""

import json

import pytest

from stoker.errors import SpecError
from stoker.fleet.state import Replica, from_json
from stoker.spec import load
from stoker.targets.gateway.config import Settings

OLD = "model: demo:smollm2-135m\nendpoint:\n  hold: 5s\n"


def test_a_former_key_is_read_and_noted_at_its_line() -> None:
    spec = load(OLD, "stoker.yaml")
    assert spec.endpoint.queue_timeout == 5
    assert [(note.rule, note.severity, note.at, note.fix) for note in spec.notes] == [
        ("spec-former-key", "note", "stoker.yaml:3:3", "write queue_timeout")
    ]


def test_it_is_the_same_spec_as_with_the_name_of_today() -> None:
    assert load(OLD) == load(OLD.replace("hold", "queue_timeout"))
    assert load(OLD.replace("hold", "queue_timeout")).notes == ()


def test_on_the_command_line_too() -> None:
    assert load("", sets=("endpoint.hold=7s",)).endpoint.queue_timeout == 7


@pytest.mark.parametrize("value", ["true", "[]", "-1s"])
def test_a_wrong_value_is_told_under_the_name_of_today_at_the_line_of_the_file(value: str) -> None:
    with pytest.raises(SpecError) as error:
        load(OLD.replace("5s", value), "stoker.yaml")
    assert error.value.finding.what.startswith("endpoint.queue_timeout")
    assert error.value.finding.at.startswith("stoker.yaml:3:")


def test_both_at_once_are_refused() -> None:
    with pytest.raises(SpecError) as error:
        load(OLD + "  queue_timeout: 6s\n")
    assert error.value.finding.rule == "spec-former-key"


def test_a_state_and_settings_written_by_the_release_before() -> None:
    replica = {"name": "1", "phase": "Failed", "since": 1.0, "last_words": "error: it died"}
    sign = {"source": "log", "subject": "replica 1", "reason": "Died", "text": "it died"}
    stopped = {"revision": 2, "serving": 1, "subject": "replica 1", "last_words": "error: it died"}
    state = from_json(
        {
            "name": "f",
            "target": "local",
            "at": 1.0,
            "replicas": [replica],
            "signs": [sign],
            "stopped": stopped,
        }
    )
    assert state.replicas == (Replica("1", "Failed", 1.0, last_error="error: it died"),)
    assert state.evidence[0].text == "it died"
    assert state.stopped is not None
    assert state.stopped.last_error == "error: it died"
    settings = {
        "host": "127.0.0.1",
        "port": 1,
        "hold": 9.0,
        "cors": [],
        "hosts": [],
        "inference_routes": [],
        "key_file": None,
        "engine_key_file": None,
        "model": "m",
    }
    assert Settings.parse(json.dumps(settings)).queue_timeout == 9.0
