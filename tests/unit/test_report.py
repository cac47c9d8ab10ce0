"""`stoker report`: what it shows of what stands there, where it writes, what it says of what is broken."""

import json
import shutil
from pathlib import Path

import pytest
from tests.support.html_page import Page
from tests.support.runs import kept, made

from stoker.cli import main

DATA = Path(__file__).parents[1] / "data" / "peers"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, a sweep, and peers' results."""
    root = tmp_path_factory.mktemp("runs")
    kept(made(1, 20.0, 30.0), root / "a")
    kept(made(2, 20.0, 30.0, ttft=0.08, failing=0.05), root / "b")
    for rate in (2, 4):
        kept(made(rate, rate, 20.0), root / "sweep" / f"rate-{rate}")
    (root / "sweep" / "sweep.json").write_text(
        json.dumps({"capacity": {"level": 3.0, "low": 2.5, "high": 3.5}})
    )
    shutil.copytree(DATA, root / "peers")
    return root


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def report(*argv: str) -> int:
    return main.run(["report", *argv])


def test_one_run_is_printed_and_its_page_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("a") == 0
    out, err = capsys.readouterr()
    assert out.startswith("shop   demo   rate=20")
    assert "page        a/report.html" in err
    page = Page(Path("a/report.html").read_text())
    assert page.root.all("h1")[0].said() == "Load test of shop"


def test_its_json_is_that_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("a", "-o", "json", "--html", "elsewhere.html") == 0
    assert json.loads(capsys.readouterr().out) == json.loads(Path("a/run.json").read_text())
    assert Path("elsewhere.html").exists()


def test_two_runs_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("a", "b") == 0
    out, err = capsys.readouterr()
    line = next(line for line in out.splitlines() if line.split()[:2] == ["ttft", "p50"])
    assert line.endswith("worse")
    assert "  worse: ttft p50 +" in out
    assert "page        b/comparison.html" in err
    Page(Path("b/comparison.html").read_text())


def test_their_comparison_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("a", "b", "-o", "json") == 0
    found = json.loads(capsys.readouterr().out)
    row = next(one for one in found["rows"] if one["metric"]["label"] == "ttft p50")
    assert row["ratio"] == pytest.approx(1.6, rel=0.1)
    assert row["low"] < row["ratio"] < row["high"]
    assert found["differences"] == []


def test_a_sweep_is_shown_as_a_curve(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("sweep") == 0
    out, err = capsys.readouterr()
    assert "Capacity: 3 requests/s (at 95%: 2.50 to 3.50)" in out
    assert "page        sweep/report.html" in err


def test_two_sweeps_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("sweep", "sweep") == 0
    assert "no difference is seen" in capsys.readouterr().out
    Page(Path("sweep/comparison.html").read_text())


def test_a_peers_result_is_shown_and_compared_with_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("peers/vllm-bench-0.32.0.json") == 0
    assert "10 of 12 answered" in capsys.readouterr().out
    assert report("a", "peers/vllm-bench-0.32.0-detailed.json") == 0
    out, err = capsys.readouterr()
    assert "ttft p50 from sent" in out
    assert "note  ttft, vllm bench serve: from when a request was sent" in out
    assert "page        a/comparison.html" in err


def test_peers_alone_are_compared_without_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("peers/aiperf-0.13.0.jsonl", "peers/guidellm-0.8.1.json#2") == 0
    assert "page" not in capsys.readouterr().err


def test_a_peers_directory_and_the_lines_beside_a_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(DATA / "aiperf-0.13.0.json", tmp_path / "profile_export_aiperf.json")
    shutil.copy(DATA / "aiperf-0.13.0.jsonl", tmp_path / "profile_export.jsonl")
    assert report("a", str(tmp_path)) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  tpot p50"))
    assert row.endswith("too short to tell")  # there are lines, though few


# what is broken


@pytest.mark.parametrize(
    ("names", "what", "fix"),
    [
        (("nowhere",), "nowhere cannot be read", "a directory of `stoker bench`"),
        (("peers",), "peers holds no run", "a directory of `stoker bench`"),
        (("a", "sweep"), "sweep holds 2 runs", "sweep/rate-2"),
        (("a", "peers/guidellm-0.8.1.json"), "holds 2 results", "guidellm-0.8.1.json#1 to"),
        (("peers/guidellm-0.8.1.json#3",), "has no result 3", "guidellm-0.8.1.json#1"),
        (("peers/vllm-bench-0.32.0.json", "--html", "x.html"), "has no page of its own", "stoker report DIR"),
        (("a/records.jsonl",), "no result that is known here", "a directory of"),
    ],
)
def test_a_wrong_name_says_what_is_there(
    names: tuple[str, ...], what: str, fix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(*names) == 2
    err = capsys.readouterr().err
    assert what in err.splitlines()[0]
    assert fix in err


@pytest.mark.parametrize(
    ("text", "at", "why"),
    [
        ("", "file.json", "there is no result in it"),
        ("{", "file.json", "Expecting property name"),
        ("[" * 100_000, "file.json", "nested too deeply"),
        ('{"a": 1}\n{"b"', "file.json:2", "Expecting ':'"),
        ("\x00\xff", "file.json", ""),
    ],
)
def test_a_broken_file_says_where(
    text: str, at: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.json").write_bytes(text.encode("latin-1"))
    assert report(str(tmp_path / "file.json")) == 2
    err = capsys.readouterr().err
    assert f"at   {tmp_path / at}\n" in err
    assert why in err


@pytest.mark.parametrize("file", ["run.json", "records.jsonl", "timeline.jsonl"])
def test_a_broken_run_is_an_error_with_a_place(
    file: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("run.json", "records.jsonl", "timeline.jsonl"):
        shutil.copy(folder / "a" / name, tmp_path / name)
    text = (tmp_path / file).read_text()
    (tmp_path / file).write_text(text[: len(text) // 2])
    assert report(str(tmp_path)) == 2
    assert f"  at   {tmp_path}" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_said_after_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert report("a", "--html", "no/such/folder/x.html") == 1
    out, err = capsys.readouterr()
    assert out.startswith("shop   demo")
    assert "no/such/folder/x.html cannot be written" in err
    assert "fix  --html FILE" in err


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["started"], 1e308, "started: 1e+308"),
        (["summary", "window", "start"], float("-inf"), "summary.window.start: -inf"),
        (["objectives", "ttft"], float("nan"), "objectives.ttft: nan"),
        (["server", "latencies", "ttft", "mean"], 1e30, "server.latencies.ttft.mean: 1e+30"),
        (["summary", "requests"], 10**30, "summary.requests: 1000"),
        (["summary", "offered"], 10**400, "int too large"),
        (["version"], 2, "its version is 2, this Stoker reads 1"),
    ],
)
def test_figures_that_cannot_be_are_no_run(
    path: list[str], value: float, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = json.loads((folder / "a" / "run.json").read_text())
    tree = raw
    for step in path[:-1]:
        tree = tree[step]
    tree[path[-1]] = value
    (tmp_path / "run.json").write_text(json.dumps(raw))
    assert report(str(tmp_path)) == 2
    err = capsys.readouterr().err
    assert f"at   {tmp_path}/run.json" in err
    assert said in err


@pytest.mark.parametrize(
    "record",
    ['"scheduled": NaN', '"scheduled": "soon"', '"last": Infinity', '"tokens_us": [1e300]', '"input": 1e99'],
)
def test_requests_that_cannot_be_are_no_run(
    record: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(folder / "a" / "run.json", tmp_path / "run.json")
    line = (folder / "a" / "records.jsonl").read_text().splitlines()[0]
    (tmp_path / "records.jsonl").write_text(f"{line[:-1]}, {record}}}\n")
    assert report(str(tmp_path)) == 2
    assert "a figure cannot be: request 0" in capsys.readouterr().err


def test_names_of_others_do_not_move_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = json.loads((DATA / "vllm-bench-0.32.0.json").read_text())
    (tmp_path / "x.json").write_text(json.dumps({**raw, "label": "\x1b]0;taken\x07\x1b[2Jname"}))
    assert report(str(tmp_path / "x.json")) == 0
    out = capsys.readouterr().out
    assert out.startswith("]0;taken[2Jname ")
