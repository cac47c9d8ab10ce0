"""The policy against what a real controller decided, and against an oracle of its own in random sequences."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.hpa_oracle import random
from benchmarks.hpa_replay import replay

DATA = Path(__file__).resolve().parents[1] / "data/hpa/recorded.jsonl"
RECORDED = [json.loads(line) for line in DATA.read_text().splitlines()]


@pytest.mark.parametrize("sequence", RECORDED, ids=[one["id"] for one in RECORDED])
def test_every_decision_and_condition_is_the_controllers(sequence: dict[str, Any]) -> None:
    found = list(replay(sequence))
    assert len(found) >= len(sequence["syncs"])
    assert [str(one) for syncs in found for one in syncs] == []


def test_random_sequences_are_decided_as_the_oracle_does() -> None:
    differ = [one for sequence in random.sequences(150, 3) for syncs in replay(sequence) for one in syncs]
    assert [str(one) for one in differ[:3]] == []


def test_a_wrong_decision_is_told() -> None:
    sequence = json.loads(DATA.read_text().splitlines()[0])
    sequence["syncs"][0]["decision"] = 99
    assert any(one.what == "decision" for syncs in replay(sequence) for one in syncs)
