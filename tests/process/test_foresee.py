"""A load test played again: the fleet as it was, other fields, and what may not be asked."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from stoker.bench.folder import RunFolder
from stoker.bench.notice import LastTest
from stoker.engine.profile import EngineProfile
from stoker.errors import UsageError
from stoker.fleet.points import Point
from stoker.operate.foresee import Foreseen, Question, allowed, foresee
from stoker.spec import dump, load
from stoker.traffic.measures import Spread, Summary, Window
from stoker.traffic.run import Moment, Run
from stoker.ui.console.foresight import MODULE

SPEC = """
model: hf://HuggingFaceTB/SmolLM2-135M-Instruct
engine: {kind: simulated, max-num-seqs: 4, simulate: {profile: {base: 0.02, prefill_token: 0.0001}}}
replicas: 1
"""
WORDS = {"rate": 10, "duration": "20s", "input_len": 64, "output_len": 32, "warmup": 0}


def played(results: Path, *sets: str, words: dict[str, Any] = WORDS) -> Foreseen:
    test = LastTest(time.time() - 60, words, str(results), str(results))
    return foresee(Question(dump(load(SPEC)), test, sets))


def kept(path: Path, replicas: int, profile: EngineProfile | None) -> Run:
    """A measured run on disk."""
    window = Window(0.0, 20.0, "all")
    summary = Summary(window, 200, 0, ttft=Spread(200, 0.5, p50=0.4, p99=0.9))
    timeline = (Moment(1.0, Point(1.0, wanted=replicas, ready=replicas)),)
    found = Run("measured", "f", "m", "", 1000.0, WORDS, summary, profile=profile, timeline=timeline)
    assert RunFolder(path).close(found) is None
    return found


def test_the_fleet_as_it_is(tmp_path: Path) -> None:
    found = played(tmp_path / "gone")
    assert found.measured == {}
    assert not found.own
    assert found.simulated["replicas"] == 1
    ready = found.columns.index("ready")
    assert {row[ready] for row in found.rows} == {1}
    assert found.rows[0][0] == pytest.approx(found.began + 1.0)
    first = found.columns.index("ttft_p50")
    assert any(row[first] for row in found.rows)
    # 10/s of 32 tokens at 20 ms need 6.4 places, and 4 are there: it falls behind
    assert (found.simulated["ttft_p99"] or 0) > 2


def test_other_fields(tmp_path: Path) -> None:
    as_is, two, roomy = (
        played(tmp_path / "gone", *sets) for sets in ((), ("replicas=2",), ("engine.max-num-seqs=16",))
    )
    assert two.simulated["replicas"] == 2
    assert (two.simulated["ttft_p99"] or 9) < (as_is.simulated["ttft_p99"] or 0) / 3
    assert (roomy.simulated["ttft_p99"] or 9) < (as_is.simulated["ttft_p99"] or 0) / 3


def test_a_kept_run_gives_its_figures_its_pace_and_its_replicas(tmp_path: Path) -> None:
    slow = EngineProfile(0.08, error=0.05, source="this very test")
    kept(tmp_path / "run", 3, slow)
    found = played(tmp_path / "run")
    assert (found.began, found.own, found.profile, found.missed) == (1000.0, True, "this very test", 0.05)
    assert found.measured["ttft_p50"] == 0.4
    assert found.simulated["replicas"] == 3, "somebody had scaled it before the test"
    assert found.simulated["itl_p50"] == pytest.approx(0.08, rel=0.02)
    assert played(tmp_path / "run", "replicas=1").simulated["replicas"] == 1


@pytest.mark.parametrize(
    "field",
    [
        "replicas=1..3",
        "hardware=l4:2",
        "hardware.price=3",
        "scaling.target=5",
        'scaling={"metrics": {"queue-depth": 5}}',
        "engine.max-num-batched-tokens=4096",
        "endpoint.routing=round-robin",
    ],
)
def test_what_may_be_asked(field: str) -> None:
    allowed([field])


@pytest.mark.parametrize(
    "field",
    [
        *("model=/etc", "name=x", "engine.chat-template=/etc/passwd", "engine.args=[]", "replicas", "", "=1"),
        *("engine.max-num-seqs=@/etc/passwd", "replicas=" + 600 * "1", "target=kubernetes"),
    ],
)
def test_what_may_not(field: str) -> None:
    with pytest.raises(UsageError, match="cannot be asked here"):
        allowed([field])


def test_as_a_process_that_answers_in_json(tmp_path: Path) -> None:
    test = {"at": 5.0, "words": WORDS, "base": str(tmp_path), "results": str(tmp_path / "gone")}
    for sets, has in (((), "rows"), (("model=/etc",), "error"), (("replicas=many",), "error")):
        question = json.dumps({"spec": dump(load(SPEC)), "test": test, "sets": sets})
        done = subprocess.run(
            [sys.executable, "-m", MODULE], input=question, capture_output=True, text=True, check=False
        )
        assert has in json.loads(done.stdout), done.stderr
        assert done.returncode == (0 if has == "rows" else 1)
