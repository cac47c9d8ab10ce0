"""`stoker suggest`: on a small fleet, and into a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stoker.cli.main import run
from stoker.errors import SpecError
from stoker.operate.writing import with_fields, write_fields
from stoker.spec import load

SPEC = """\
# our shop
model: demo:smollm2-135m-instruct   # small
engine:
  kind: simulated
  max-num-seqs: 4
  simulate: {profile: {base: 0.05, prefill_token: 0.0002}}
replicas: 1..4   # as ever
scaling: {metrics: {queue-depth: 10}}
slo: {ttft: 1s, itl: 100ms}
"""
LOAD = ("--rate", "3", "--duration", "40s", "--input-len", "64", "--output-len", "32", "--warmup", "0")


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    path = tmp_path / "stoker.yaml"
    path.write_text(SPEC)
    return path


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """The exit code, and what it printed."""
    code = run(list(argv))
    out, err = capsys.readouterr()
    return code, out, err


def test_it_suggests_what_keeps_the_objectives(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = said(capsys, "suggest", "-f", str(spec), *LOAD, "--seeds", "2", "-o", "json")
    found = json.loads(text[text.index("{") :])
    assert code == 0
    assert found["best"]["attainment"]["low"] >= 0.99
    assert found["static"]["attainment"]["mean"] >= 0.988
    assert found["best"]["cost"]["mean"] <= found["static"]["cost"]["mean"] * 1.5
    assert found["front"][0]["cost"]["mean"] <= found["best"]["cost"]["mean"]
    load(json.dumps({"model": "demo:smollm2-135m-instruct", **found["fields"]}))


def test_what_cannot_be_kept_is_said_with_what_can(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("--slo", "itl=20ms", "--most", "4", "--seeds", "2")
    code, text, _ = said(capsys, "suggest", "-f", str(spec), *LOAD, *asked)
    assert code == 1
    assert "nothing: no setting keeps itl=20ms" in text
    assert "a token takes 50.0 ms even for a request that is alone" in text
    assert "can be met  itl=" in text


def test_without_objectives_there_is_nothing_to_keep(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(SPEC.replace("slo: {ttft: 1s, itl: 100ms}\n", ""))
    code, _, error = said(capsys, "suggest", "-f", str(spec), *LOAD)
    assert code == 2
    assert "there is nothing to keep" in error


def test_it_writes_into_the_file_and_leaves_the_rest(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = said(capsys, "suggest", "-f", str(spec), *LOAD, "--seeds", "2", "--write")
    text = spec.read_text()
    assert code == 0
    assert text.startswith("# our shop\nmodel: demo:smollm2-135m-instruct   # small\n")
    assert load(text).replicas != load(SPEC).replicas or load(text).scaling != load(SPEC).scaling


def test_fields_go_in_place_of_what_stands_there() -> None:
    text = with_fields(SPEC, {"replicas": "2..6", "engine": {"max-num-seqs": 8}})
    assert "replicas: 2..6   # as ever" in text
    assert "  max-num-seqs: 8\n" in text
    assert "kind: simulated" in text


def test_what_is_no_spec_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "stoker.yaml"
    path.write_text(SPEC)
    with pytest.raises(SpecError):
        write_fields(path, {"replicas": "none"})
    assert path.read_text() == SPEC
