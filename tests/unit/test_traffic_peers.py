"""Results of other load generators: real ones, of a dozen requests each against an engine that fails two of
them, made smaller by hand."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stoker.traffic import peers, setups
from stoker.traffic.compare import compare
from stoker.traffic.result import Result

DATA = Path(__file__).parents[1] / "data" / "peers"
VLLM, DETAILED = "vllm-bench-0.32.0.json", "vllm-bench-0.32.0-detailed.json"
GUIDELLM, AIPERF, RECORDS = "guidellm-0.8.1.json", "aiperf-0.13.0.json", "aiperf-0.13.0.jsonl"

FIRST = ["benchmarks", 0]


def loaded(name: str) -> list[Any]:
    text = (DATA / name).read_text()
    return [json.loads(line) for line in text.splitlines()]


def read(name: str) -> tuple[Result, ...]:
    return peers.read(loaded(name))


@pytest.mark.parametrize(
    ("name", "tool", "requests", "failed"),
    [
        (VLLM, "vllm bench serve", 12, 2),
        (DETAILED, "vllm bench serve", 12, 2),
        (GUIDELLM, "guidellm 0.8.1", 8, 2),
        (AIPERF, "aiperf 0.13.0", 12, 2),
        (RECORDS, "aiperf", 12, 2),
    ],
)
def test_a_result_is_known_by_what_is_in_it(name: str, tool: str, requests: int, failed: int) -> None:
    found = read(name)[0]
    assert (found.tool, found.requests, found.failed) == (tool, requests, failed)
    for told in found.latencies.values():
        assert told.p50 is not None
        assert 0.001 < told.p50 < 1  # seconds, not milliseconds
    assert found.latencies["ttft"].p50 == pytest.approx(0.055, abs=0.02)
    assert found.latencies["tpot"].p50 == pytest.approx(0.010, abs=0.004)


def test_vllms_figures_are_its_own() -> None:
    raw, found = loaded(VLLM)[0], read(VLLM)[0]
    assert found.latencies["ttft"].p99 == pytest.approx(raw["p99_ttft_ms"] / 1000)
    assert found.latencies["e2e"].mean == pytest.approx(raw["mean_e2el_ms"] / 1000)
    assert found.latencies["itl"].p95 is None  # was not asked for
    assert found.output == pytest.approx(raw["total_output_tokens"] / 10)
    assert (found.offered, found.output_rate) == (4.0, raw["output_throughput"])
    assert found.sampled is None


def test_its_details_are_samples_without_the_failed_ones() -> None:
    sampled = read(DETAILED)[0].sampled
    assert sampled is not None
    assert [len(sampled.latencies[name]) for name in ("ttft", "tpot", "e2e")] == [10, 10, 10]
    assert sum(sampled.amounts["completed"][0]) == 10
    raw = loaded(DETAILED)[0]
    assert sum(sampled.amounts["output_rate"][0]) == pytest.approx(raw["total_output_tokens"])


def test_guidellms_several_benchmarks_are_several_results() -> None:
    two, three = read(GUIDELLM)
    assert (two.workload["streams"], three.workload["streams"]) == (2, 3)
    assert "itl" not in two.latencies  # it keeps no single gaps
    assert two.latencies["tpot"].p50 != pytest.approx(0.001 * _own_tpot())
    sent, due = two.latencies["e2e_sent"].p50, two.latencies["e2e"].p50
    assert sent is not None
    assert due is not None
    assert sent <= due
    assert two.sampled is not None
    assert len(two.sampled.latencies["ttft"]) == 6


def _own_tpot() -> float:
    metrics = loaded(GUIDELLM)[0]["benchmarks"][0]["metrics"]
    value: float = metrics["time_per_output_token_ms"]["successful"]["percentiles"]["p50"]
    return value


def test_aiperfs_own_count_of_tokens_is_told_where_the_server_counts_others() -> None:
    found = read(AIPERF)[0]
    assert found.output is not None
    assert found.output > 6  # the server's count is 6: it was asked for so many
    assert "6.0 by the server's count" in found.notes["tpot"]


def test_aiperfs_lines_say_the_same_as_its_summary() -> None:
    summary, lines = read(AIPERF)[0], read(RECORDS)[0]
    for name, told in summary.latencies.items():
        assert lines.latencies[name].p50 == pytest.approx(told.p50, rel=1e-6), name
        assert lines.latencies[name].p99 == pytest.approx(told.p99, rel=1e-6), name
    joined = peers.with_records(summary, loaded(RECORDS))
    assert joined.sampled is not None
    assert len(joined.sampled.latencies["itl"]) == 10


def test_what_both_count_from_sent_is_compared_as_such() -> None:
    rows = {row.metric.label: row for row in compare(read(GUIDELLM)[0], read(DETAILED)[0])}
    assert rows["e2e p50"].sent  # guidellm has both, vLLM from sent alone
    assert rows["e2e p50"].a == read(GUIDELLM)[0].latencies["e2e_sent"].p50
    assert not rows["ttft p50"].sent
    assert rows["itl p50"].verdict == "not told"


def test_without_single_requests_nothing_is_said_of_chance() -> None:
    rows = compare(read(VLLM)[0], read(AIPERF)[0])
    assert {row.verdict for row in rows} <= {"without records", "not told", "not comparable"}
    assert [one.rule for one in setups.comparable(read(VLLM)[0], read(AIPERF)[0])][-1] == "compare-tools"


# what is broken


@pytest.mark.parametrize(
    "value", [{}, {"a": 1}, [], 3, "text", None, {"benchmarks": []}, {"aiperf_version": "1"}]
)
def test_what_nobody_wrote_is_unknown(value: Any) -> None:
    with pytest.raises(peers.Unknown):
        peers.read([value])


@pytest.mark.parametrize(
    ("name", "path", "value", "place"),
    [
        (VLLM, ["mean_ttft_ms"], "fast", "mean_ttft_ms: expected a number, not str"),
        (VLLM, ["completed"], [], "completed: expected a number, not list"),
        (VLLM, ["request_rate"], True, "request_rate: expected a number, not bool"),
        (DETAILED, ["ttfts"], {}, "ttfts: expected a list, not dict"),
        (GUIDELLM, ["benchmarks"], [], "benchmarks: it is empty"),
        (GUIDELLM, [*FIRST, "metrics"], 1, "benchmarks[0].metrics: it is missing"),
        (GUIDELLM, [*FIRST, "metrics", "request_totals"], 1, "request_totals: expected a table, not int"),
        (GUIDELLM, [*FIRST, "requests", "successful", 2], 1, "requests.successful[2]: expected a table"),
        (AIPERF, ["request_latency", "unit"], "s", "request_latency.unit: expected ms, not 's'"),
        (AIPERF, ["input_config", "phases"], 1, "input_config.phases: expected a list, not int"),
    ],
)  # fmt: skip
def test_what_is_broken_is_named_by_its_place(name: str, path: list[Any], value: Any, place: str) -> None:
    whole = loaded(name)
    tree = whole[0]
    for step in path[:-1]:
        tree = tree[step]
    tree[path[-1]] = value
    with pytest.raises(ValueError, match=r".+") as caught:
        peers.read(whole)
    assert str(caught.value) == place


def test_a_broken_line_is_named_by_its_number() -> None:
    with pytest.raises(ValueError, match=r"^line 3: expected metadata and metrics"):
        peers.read([*loaded(RECORDS)[:2], {"metadata": {}}])


def test_what_is_not_a_number_is_not_told() -> None:
    whole = loaded(VLLM)
    whole[0]["mean_ttft_ms"] = float("nan")
    found = peers.read(whole)[0]
    assert found.latencies["ttft"].mean is None
    assert found.latencies["ttft"].p50 is not None


@pytest.mark.parametrize("name", [VLLM, DETAILED, GUIDELLM, AIPERF])
def test_any_field_may_be_missing(name: str) -> None:
    """Whatever is left out, it is a result with less, an error with a place, or unknown."""
    for field in loaded(name)[0]:
        whole = loaded(name)
        del whole[0][field]
        with suppress(ValueError):  # Unknown is one
            assert peers.read(whole)[0].tool, field
