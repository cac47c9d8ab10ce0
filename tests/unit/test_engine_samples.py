"""Samples of vLLM's metrics page, checked against prometheus-client's reading of the real page."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from stoker.engine.samples import COUNTERS, GAUGES, HISTOGRAMS, Histogram, read

PAGES = sorted((Path(__file__).parents[1] / "data/metrics").glob("vllm-*.txt"))
PAGE = PAGES[-1].read_bytes()


def series(page: str, name: str) -> list[tuple[dict[str, str], float]]:
    """What prometheus-client reads under a name."""
    return [
        (one.labels, one.value)
        for family in text_string_to_metric_families(page)
        for one in family.samples
        if one.name == f"vllm:{name}"
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_it_reads_what_prometheus_client_reads(path: Path) -> None:
    text = path.read_text()
    sample = read(text.encode(), 1.0)
    assert sample is not None
    assert set(sample.gauges) == set(GAUGES)
    assert set(sample.histograms) == set(HISTOGRAMS)
    for ours, (name, *_) in {**GAUGES, **COUNTERS}.items():
        expected = sum(value for _, value in series(text, name))
        assert {**sample.gauges, **sample.counters}[ours] == pytest.approx(expected), ours
    for ours, (name, *_) in HISTOGRAMS.items():
        found = sample.histograms[ours]
        buckets = {float(labels["le"]): value for labels, value in series(text, f"{name}_bucket")}
        assert dict(zip(found.bounds, found.counts, strict=True)) == buckets
        assert found.sum == pytest.approx(series(text, f"{name}_sum")[0][1])
        assert found.count > 0
    failed = [
        value
        for labels, value in series(text, "request_success_total")
        if labels["finished_reason"] == "error"
    ]
    assert sample.counters["errors"] == sum(failed)


def test_names_of_earlier_releases_are_the_same_to_us() -> None:
    old = (
        PAGE.replace(b"vllm:kv_cache_usage_perc", b"vllm:gpu_cache_usage_perc")
        .replace(b"vllm:prefix_cache", b"vllm:gpu_prefix_cache")
        .replace(b"vllm:inter_token_latency_seconds", b"vllm:time_per_output_token_seconds")
    )
    assert read(old, 0.0) == read(PAGE, 0.0)


def test_two_engines_of_one_page_are_summed_and_their_caches_averaged() -> None:
    page = b"".join(
        b'vllm:num_requests_running{engine="%d"} %d\nvllm:kv_cache_usage_perc{engine="%d"} %f\n'
        % (n, n + 1, n, n / 2)
        for n in (0, 1)
    )
    sample = read(page, 0.0)
    assert sample is not None
    assert dict(sample.gauges) == {"running": 3.0, "kv_cache_usage": 0.25}


@pytest.mark.parametrize(
    ("page", "gauges"),
    [
        (b"vllm:num_requests_running NaN\nvllm:num_requests_waiting 2\n", {"waiting": 2.0}),
        (b"vllm:num_requests_running +Inf\nvllm:num_requests_waiting 2\n", {"waiting": 2.0}),
        (b"vllm:num_requests_waiting 2\nvllm:num_requests_running 1", {"waiting": 2.0}),
        (b"vllm:num_requests_waiting two\nvllm:num_requests_running 1\n", {"running": 1.0}),
        (
            b'vllm:num_requests_waiting_by_reason{reason="x"} 9\nvllm:num_requests_running 1 1700000000\n',
            {"running": 1.0},
        ),
    ],
)
def test_what_is_no_figure_counts_for_nothing(page: bytes, gauges: dict[str, float]) -> None:
    sample = read(page, 0.0)
    assert sample is not None
    assert dict(sample.gauges) == gauges


def test_half_a_page_has_no_half_histogram() -> None:
    cut = PAGE[: PAGE.index(b'le="0.5"', PAGE.index(b"vllm:time_to_first_token_seconds_bucket"))]
    sample = read(cut, 0.0)
    assert sample is not None
    assert "ttft" not in sample.histograms
    assert "running" in sample.gauges


@pytest.mark.parametrize(
    "page", [b"", b"<html>hello</html>", b"\xff\xfe\x00", b"up 1\n", b"# TYPE vllm:x gauge\n"]
)
def test_what_is_not_vllm_gives_nothing(page: bytes) -> None:
    assert read(page, 0.0) is None


def test_quantiles_are_prometheus_own() -> None:
    one = Histogram((0.1, 0.5, 1.0, math.inf), (10.0, 30.0, 40.0, 40.0))
    assert one.quantile(0.5) == pytest.approx(0.1 + 0.4 * (20 - 10) / 20)
    assert one.quantile(0.25) == pytest.approx(0.1)
    assert one.quantile(1.0) == pytest.approx(1.0)
    assert Histogram((0.1, math.inf), (0.0, 5.0)).quantile(0.9) == pytest.approx(0.1), "the last finite bound"
    assert Histogram((0.1, math.inf), (0.0, 0.0)).quantile(0.9) is None


def test_an_engine_that_began_anew_counts_from_zero() -> None:
    before, after = (Histogram((1.0, math.inf), (n, n)) for n in (10.0, 3.0))
    assert after.since(before) == after
    assert before.since(after).count == 7.0


@pytest.mark.parametrize(
    ("page", "running"),
    [
        (b"", None),
        (b"vllm:num_requests_running 0.0\n", 0.0),
        (b"vllm:num_requests_running NaN\n", None),
        (b"vllm:num_requests_running +Inf\n", None),
        (b"vllm:num_requests_running many\n", None),
        (b'vllm:num_requests_running{engine="0"} NaN\nvllm:num_requests_running{engine="1"} 2\n', 2.0),
        (b"vllm:num_requests_running 12", None),
        (b"vllm:num_requests_running_total 12\n", None),
        (b"# HELP vllm:num_requests_running 5\n", None),
        (b"<html>vllm:num_requests_running 5\n", None),
    ],
    ids=["empty", "zero", "nan", "infinite", "words", "one nan", "cut off", "another name", "help", "html"],
)
def test_what_is_absent_is_none_and_never_zero(page: bytes, running: float | None) -> None:
    found = read(page, 0.0)
    assert (found.gauges.get("running") if found else None) == running


def test_an_old_name_of_the_cache_usage_counts_once() -> None:
    page = b"vllm:gpu_cache_usage_perc 0.4\nvllm:kv_cache_usage_perc 0.4\n"
    for part in (page, page[:30]):
        found = read(part, 0.0)
        assert found is not None
        assert found.gauges["kv_cache_usage"] == pytest.approx(0.4)


@given(st.integers(0, len(PAGE)))
def test_half_a_page_says_the_truth_or_nothing(length: int) -> None:
    whole, half = read(PAGE, 0.0), read(PAGE[:length], 0.0)
    assert whole is not None
    if half is None:
        return
    assert half.gauges.items() <= whole.gauges.items()
    assert all(half.histograms[name] == whole.histograms[name] for name in half.histograms)
    sums = ("requests", "errors")  # of a sum, the half may be less
    assert all(value == whole.counters[name] for name, value in half.counters.items() if name not in sums)


def test_labels_that_only_end_in_le_and_values_beyond_numbers() -> None:
    page = (
        b'\nvllm:time_to_first_token_seconds_bucket{role="x",le="+Inf"} '
        b'1\nvllm:time_to_first_token_seconds_bucket{le="y"} 1\n'
        b'vllm:time_to_first_token_seconds_count{role="x"} 1\nvllm:time_to_first_token_seconds_sum{role="x"} '
        b"1\n"
        b"vllm:num_requests_running 1e308\n"
    )
    found = read(page, 0.0)
    assert found is not None
    assert found.histograms["ttft"].count == 1


def test_engines_on_one_page_are_told_apart_by_their_labels() -> None:
    def page(**counts: int) -> bytes:
        return b"".join(
            b'vllm:generation_tokens_total{replica="%b"} %d\n' % (k.encode(), v) for k, v in counts.items()
        )

    found = read(b"\n" + page(a=1, b=2), 0.0)
    assert found is not None
    assert found.counters["generation_tokens"] == 3
    assert len(found.series["generation_tokens"]) == 2
