"""`stoker report` on what `stoker bench` really leaves behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Stoker
from tests.support.engine import Start, starter
from tests.support.html_page import Page

WORDS = ("--rate", "30", "--input-len", "40", "--output-len", "8", "--duration", "3s", "--warmup", "0.5s")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with starter(tmp_path) as begin:
        yield begin


def test_a_run_with_failures_is_shown_with_their_words_and_compared(stoker: Stoker, start: Start) -> None:
    for name, engine in (("a", start(ttft=0.02)), ("b", start(ttft=0.2, faults={"error_rate": 0.2}))):
        url = f"http://127.0.0.1:{engine.port}"
        ran = stoker("bench", "--url", url, *WORDS, "--slo", "ttft=150ms", "--results", name, "-o", "json")
        assert ran.out, ran.err
    shown = stoker("report", "b")
    assert shown.code == 0, shown.err
    page = Page((stoker.home / "b" / "report.html").read_text())
    said = page.root.said()
    assert "simulated failure" in said
    assert "objectives not kept" in said or "not to be believed" in said  # on a machine that is busy itself
    titles = [one.said() for one in page.root.all("h3")]
    assert {"Requests", "Requests at once", "Output tokens", "Time to first token", "KV cache"} <= set(titles)
    both = stoker("report", "a", "b", "-o", "json")
    assert both.code == 0, both.err
    rows = {one["metric"]["label"]: one for one in both.json()["rows"]}
    assert rows["ttft p50"]["ratio"] > 2
    assert rows["ttft p50"]["verdict"] == "worse"
    assert (stoker.home / "b" / "comparison.html").is_file()


def test_an_interrupted_sweep_without_its_summary_is_a_curve(stoker: Stoker, start: Start) -> None:
    url = f"http://127.0.0.1:{start(ttft=0.02).port}"
    for rate in ("10", "20"):
        words = ("--rate", rate, *WORDS[2:6], "--duration", "1s", "--warmup", "0s")
        assert stoker("bench", "--url", url, *words, "--results", f"all/rate-{rate}").out
    ran = stoker("report", "all", "-o", "json")
    assert ran.code == 0, ran.err
    assert [one["level"] for one in ran.json()["levels"]] == [10, 20]
    Page((stoker.home / "all" / "report.html").read_text())
