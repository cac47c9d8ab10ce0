"""`stoker simulate` as a user types it: what it prints, keeps and refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests import models

from stoker.cli.main import run
from stoker.cli.simulate import FIELDS

SPEC = {
    "name": "shop",
    "model": "./model",
    "hardware": "h200-141gb:1",
    "target": "kubernetes",
    "engine": {"max-model-len": "4K", "max-num-seqs": 64, "image": "r.example/vllm:1"},
    "kubernetes": {"routing": "gateway", "image": "r.example/stoker:1"},
}
SHORT = ("--rate", "4", "--duration", "30s", "--input-len", "200", "--output-len", "40", "--seeds", "2")
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec and its model's config.json, and no hub."""
    monkeypatch.setenv("STOKER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STOKER_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps(models.LLAMA_8B))
    write()
    return tmp_path


def write(**fields: Any) -> None:
    Path("stoker.yaml").write_text(json.dumps(SPEC | fields))


class Said:
    """A command's end."""

    def __init__(
        self, capsys: pytest.CaptureFixture[str], *words: str, load: tuple[str, ...] = SHORT
    ) -> None:
        self.code = run(["simulate", *load, *words])
        self.out, self.err = capsys.readouterr()


def refused(capsys: pytest.CaptureFixture[str], *words: str, load: tuple[str, ...] = SHORT) -> str:
    """What is said of bad input."""
    said = Said(capsys, *words, load=load)
    assert said.code == 2, said.out + said.err
    assert not said.out
    return said.err


def test_it_says_what_clients_the_fleet_and_the_bill_would_see(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "--slo", "ttft=1s,itl=50ms")
    assert said.code == 0
    for words in (
        "(simulated)",
        "profile     Llama-3.1-8B on h200-141gb, vLLM 0.26.0",
        "of 109 answered",
        "fleet       1 replicas on average",
        "GPU hours",
        "a million output tokens",
        "MILLISECONDS",
        "2 seeds",
        "(mean, 95 % interval)",
    ):
        assert words in said.out, said.out
    assert 15 < len(said.out.splitlines()) < 40


def test_its_json_has_what_the_reference_names(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(Said(capsys, "-o", "json").out)
    assert set(found) == set(FIELDS)
    assert found["label"] == "as asked"
    assert found["seeds"] == 2
    assert set(found["figures"]["ttft_p50"]) == {"mean", "low", "high"}
    assert found["run"]["kind"] == "simulated"
    assert found["fleet"]["seconds"] > 0
    said = FIELDS["fleet"]
    assert all(name in said for name in found["fleet"])


def test_a_price_is_of_one_replica(capsys: pytest.CaptureFixture[str]) -> None:
    dear = json.loads(Said(capsys, "-o", "json", "--price", "2").out)["fleet"]
    assert dear["cost"] == pytest.approx(2 * 8 * dear["node_hours"])  # its machine has room for eight


def test_other_fields_stand_beside_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "--versus", "replicas=2", "--versus", "replicas=3 hardware=h100-80gb:1")
    assert said.code == 0
    head = next(line for line in said.out.splitlines() if "as asked" in line)
    assert head.split()[:3] == ["as", "asked", "replicas=2"]
    assert "estimated from the catalog's NVIDIA H100" in said.out
    found = json.loads(Said(capsys, "--versus", "replicas=2", "-o", "json").out)
    assert [one["label"] for one in found] == ["as asked", "replicas=2"]
    first, second = (one["figures"] for one in found)
    assert second["replica_hours"]["mean"] == pytest.approx(2 * first["replica_hours"]["mean"], rel=0.05)
    assert second["cost"]["mean"] == pytest.approx(
        first["cost"]["mean"], rel=0.05
    )  # both on one machine of 8
    assert second["e2e_p99"]["mean"] < first["e2e_p99"]["mean"]


def test_a_field_beside_it_may_be_a_whole_part(capsys: pytest.CaptureFixture[str]) -> None:
    fields = 'replicas=1..3 scaling={"metrics": {"batch-size": 0.2}}'
    found = json.loads(Said(capsys, "--versus", fields, "-o", "json").out)
    assert found[1]["label"] == fields
    assert found[1]["run"]["environment"]["spec"]["scaling"]["metrics"] == {"batch-size": 0.2}


def test_a_kept_run_is_one_that_report_reads(capsys: pytest.CaptureFixture[str]) -> None:
    assert Said(capsys, "--results", "kept").code == 0
    assert {"run.json", "records.jsonl", "timeline.jsonl", "report.html"} <= {
        one.name for one in Path("kept").iterdir()
    }
    assert run(["report", "kept"]) == 0
    assert "shop" in capsys.readouterr().out
    assert Said(capsys, "--results", "more", "--set", "replicas=2").code == 0
    assert run(["report", "kept", "more", "-o", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {"ttft", "e2e"} <= {row["metric"]["name"] for row in rows}
    again = json.loads(Said(capsys, "--profile", "kept", "-o", "json").out)  # a run carries its profile
    assert again["run"]["profile"]["base"] == pytest.approx(0.00477)


# bad input


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--profile", "nowhere"), "there is nothing of that name"),
        (("--profile", "nowhere"), "or one of h200-llama-8b"),
        (("--versus", "replicas"), "expected fields such as replicas=1..3"),
        (("--versus", ""), "expected fields such as replicas=1..3"),
        (("--versus", "a b=1"), "expected fields such as replicas=1..3"),
        (("--versus", "replicas=9..1"), "the first number is the smaller one"),
        (("--phase", "node=soon"), "--phase node=120s"),
        (("--phase", "lunch=1h"), "expected a phase (node, image"),
        (("--no-nodes", "20m..5m"), "the later one last"),
        (("--no-nodes", "5m"), "expected two times"),
        (("--die-every", "0s"), "expected a time above 0"),
        (("--die-at", "noon"), "is no duration"),
        (("--metric-delay", "late"), "is no duration"),
        (("--slo", "ttft=-1s"), "is no duration"),
        (("--attainment", "300%"), "expected a share"),
        (("--seeds", "0"), "not in the range"),
        (("--price", "-1"), "not in the range"),
        (("--input-len", "0"), "is no length"),
        (("--output-len", "99999999"), "from 1 to 10,000,000"),
        (("--rate", "0"), "a rate is above 0"),
        (("--duration", "0s"), "nothing would be sent"),
        (("--trace", "nowhere.csv"), "nowhere.csv"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    load = () if words[0] == "--trace" else SHORT
    assert says in refused(capsys, *words, load=load)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "it is no JSON"),
        ("[1]", "it holds none"),
        ("{}", "a profile has a base"),
        ('{"profile": null}', "it holds none"),
        ('{"base": -1}', "none negative"),
        ('{"base": NaN}', "none negative"),
        ('{"base": 0}', "not all zero"),
        ('{"base": 4000}', "are seconds"),
        ('{"base": "fast"}', "expected seconds"),
        ('{"base": 0.1, "speed": 2}', "unknown field 'speed'"),
        ('{"base": 0.1, "error": -3}', "a profile's error is a share"),
        ('{"base": 0.1, "prefill_free": 1.5}', "whole numbers of tokens"),
        ('{"base": 0.1, "graph_tokens": -1}', "whole numbers of tokens"),
    ],
)
def test_a_file_that_is_no_profile_is_refused(
    text: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("own.json").write_text(text)
    said = refused(capsys, "--profile", "own.json")
    assert says in said
    assert "stoker bench --sweep" in said


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("", "the trace holds no request"),
        ("soon,10,10\n", "is no time"),
        ("2023-11-16 18:15:46.0,-5,10\n", "expected a whole number"),
        ("2023-11-16 18:15:46.0,99999999,10\n", "to 10,000,000"),
        ("2023-11-16 18:15:46.0,10\n", "does not fit its header"),
    ],
)
def test_a_trace_that_is_none_is_refused(rows: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.csv").write_text(TRACE + rows)
    said = refused(capsys, "--trace", "t.csv", load=())
    assert says in said
    assert "t.csv" in said


def test_a_prompt_file_that_leaves_the_end_to_the_model_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("p.jsonl").write_text('{"prompt": "Hello"}\n')
    load = ("--rate", "4", "--duration", "10s", "--prompts", "p.jsonl")
    assert "does not say how long answers are" in refused(capsys, load=load)
    assert Said(capsys, "--output-len", "20", load=load).code == 0


# what is told beside figures


def test_a_trace_with_a_pause_out_of_order_and_too_long_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    rows = ("16 18:15:46.0,37,4", "16 18:17:46.0,39,10", "16 18:15:47.0,39,0", "18 18:15:47.0,39000,10")
    order = (rows[1], rows[0], *rows[2:])
    Path("t.csv").write_text(TRACE + "".join(f"2023-11-{row}\n" for row in order))
    said = Said(capsys, "--seeds", "1", load=("--trace", "t.csv")).out
    assert "not in order of time" in said
    assert "1 rows of the trace have no answer" in said
    assert "a pause of 48.0 hours" in said
    assert "1 of 3 requests are refused with 400" in said
    assert "max-model-len is 4,096" in said


def test_refused_requests_are_400s_in_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "--results", "kept", "--input-len", "5000")
    assert "no request was answered" in said.out
    first = json.loads(Path("kept/records.jsonl").read_text().splitlines()[0])
    assert first["error"]["status"] == 400


@pytest.mark.parametrize(
    ("scaling", "says"),
    [
        ({"metrics": {"batch-size": 64}}, "64 running requests a replica are never exceeded"),
        ({"metrics": {"batch-size": 60}}, "60 running requests a replica are never exceeded"),
        ({"metrics": {"kv-cache": 0.95}}, "never exceeded"),
        ({"metrics": {"batch-size": 50}}, ""),
        ({"metrics": {"queue-depth": 5}}, ""),
    ],
    ids=str,
)
def test_a_policy_that_can_never_scale_is_told(
    scaling: dict[str, Any], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(replicas="1..4", scaling=scaling)
    for words in ((), ("--versus", "replicas=1..2")):
        said = Said(capsys, *words)
        assert said.code == 0
        assert says in said.out
        assert ("never" in said.out) == bool(says)


def test_a_profile_of_another_engine_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    same = Said(capsys, "--profile", "h200-llama-8b").out
    assert "is another one" not in same
    other = Said(capsys, "--profile", "h200-llama-8b", "--set", "hardware=h100-80gb:1").out
    assert "measured was 1 x h200-141gb, planned is 1 x h100-80gb" in other
    two = Said(capsys, "--profile", "h200-llama-8b", "--set", "hardware=h200-141gb:2").out
    assert "planned is 2 x h200-141gb" in two
    Path("model/config.json").write_text(json.dumps(models.LLAMA_70B))
    big = Said(capsys, "--profile", "h200-llama-8b", "--set", "hardware=h200-141gb:2").out
    assert "the profile's model is another one: measured was Llama-3.1-8B" in big


def test_a_profile_of_another_run_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert Said(capsys, "--results", "kept").code == 0
    assert "is another one" not in Said(capsys, "--profile", "kept").out
    said = Said(capsys, "--profile", "kept", "--set", "hardware=h100-80gb:1").out
    assert "the profile's hardware is another one" in said


def test_a_fleet_without_a_machine_answers_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    said = Said(capsys, "--nodes", "0").out
    assert "0 of 109 answered" in said
    assert "no request was answered" in said
