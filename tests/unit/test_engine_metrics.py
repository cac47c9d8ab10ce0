"""vLLM's metrics page, read and merged. `prometheus_client`'s parser is the oracle."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from stoker.engine.metrics import Gauges, merge, relabel, sample

PAGE = (Path(__file__).parents[1] / "data/metrics/vllm-0.32.txt").read_bytes()
BUSY = b"""\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0"} 3.0
vllm:num_requests_running{engine="1"} 4
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0"} 0.5
vllm:kv_cache_usage_perc{engine="1"} 0.7
# TYPE vllm:request_success_total counter
vllm:request_success_total{finished_reason="stop",model_name="a} b"} 1e3
vllm:request_success_total{finished_reason="length",model_name="a} b"} 5 1712345678901
"""


def read(page: bytes) -> list[Any]:
    return list(text_string_to_metric_families(page.decode()))


def samples(page: bytes, without: Iterable[str] = ()) -> list[tuple[Any, ...]]:
    return [
        (s.name, tuple(sorted((k, v) for k, v in s.labels.items() if k not in without)), s.value)
        for family in read(page)
        for s in family.samples
    ]


def test_a_real_page_reads_as_the_oracle_reads_it() -> None:
    totals: dict[str, float] = {}
    for name, _, value in samples(PAGE):
        totals[name] = totals.get(name, 0.0) + value
    assert sample(PAGE) == Gauges(
        num_requests_running=totals["vllm:num_requests_running"],
        num_requests_waiting=totals["vllm:num_requests_waiting"],
        kv_cache_usage=totals["vllm:kv_cache_usage_perc"],
        prompt_tokens_total=totals["vllm:prompt_tokens_total"],
        generation_tokens_total=totals["vllm:generation_tokens_total"],
        num_preemptions_total=totals["vllm:num_preemptions_total"],
        request_success_total=totals["vllm:request_success_total"],
    )
    assert totals["vllm:prompt_tokens_total"] > 0


def test_counts_are_summed_and_usage_is_averaged_over_engines() -> None:
    gauges = sample(BUSY)
    assert gauges.num_requests_running == 7
    assert gauges.kv_cache_usage == pytest.approx(0.6)
    assert gauges.request_success_total == 1005


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
    assert sample(page).num_requests_running == running


def test_text_is_as_good_as_bytes() -> None:
    assert sample(PAGE.decode()) == sample(PAGE)


def test_an_old_name_of_the_cache_usage_counts_once() -> None:
    page = b"vllm:gpu_cache_usage_perc 0.4\nvllm:kv_cache_usage_perc 0.4\n"
    assert sample(page).kv_cache_usage == pytest.approx(0.4)
    assert sample(page[:30]).kv_cache_usage == pytest.approx(0.4)


@given(st.integers(0, len(PAGE)))
def test_half_a_page_says_the_truth_or_nothing(length: int) -> None:
    whole, half = sample(PAGE), sample(PAGE[:length])
    for name in Gauges.__slots__:
        if name != "request_success_total":  # of a sum, the half may be less
            assert getattr(half, name) in (None, getattr(whole, name))


def test_relabelling_adds_the_label_and_changes_nothing_else() -> None:
    page = relabel(PAGE, "2")
    assert samples(page, without=["replica"]) == samples(PAGE)
    assert {s.labels["replica"] for family in read(page) for s in family.samples} == {"2"}
    before, after = read(PAGE), read(page)
    assert [(f.name, f.type, f.documentation) for f in after] == [
        (f.name, f.type, f.documentation) for f in before
    ]


def test_merging_keeps_every_sample_of_every_replica() -> None:
    page = merge({"1": PAGE, "2": BUSY, "3": PAGE})
    assert sorted(samples(page, ["replica"]), key=str) == sorted(samples(PAGE) * 2 + samples(BUSY), key=str)


def test_each_family_stands_once_and_in_one_piece() -> None:
    page = merge({"1": PAGE, "2": PAGE, "3": BUSY})
    for word in (b"HELP", b"TYPE"):
        named = re.findall(rb"^# %b (\S+)" % word, page, re.M)
        assert len(named) == len(set(named))
    names = [family.name for family in read(page)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("line", "merged"),
    [
        (b"up 1", b'up{replica="1"} 1'),
        (b"up{} 1", b'up{replica="1"} 1'),
        (b'up{a="b"} 1 1712345678901', b'up{replica="1",a="b"} 1 1712345678901'),
        (b'up{replica="x"} 1', b'up{replica="1",exported_replica="x"} 1'),
        (b'up{a="\\",b",replica="x"} 1', b'up{replica="1",a="\\",b",exported_replica="x"} 1'),
        (b'up{my_replica="x"} NaN', b'up{replica="1",my_replica="x"} NaN'),
    ],
)
def test_labels(line: bytes, merged: bytes) -> None:
    assert relabel(line + b"\n", "1") == merged + b"\n"


def test_a_name_is_escaped() -> None:
    page = relabel(b"up 1\n", 'a"\\\n')
    assert samples(page) == [("up", (("replica", 'a"\\\n'),), 1.0)]


@pytest.mark.parametrize("page", [b"", b"<html><b>502</b></html>\n", b"up 1", b"# EOF\n", b"\xff\xfe 1\n"])
def test_what_is_no_metric_is_left_out(page: bytes) -> None:
    assert merge({"1": page}) == b""
    assert merge({"1": page, "2": b"up 1\n"}) == b'up{replica="2"} 1\n'


def test_a_head_that_only_the_second_page_has_comes_before_the_samples() -> None:
    page = merge({"1": b"up 1\n", "2": b"# TYPE up gauge\nup 0\n"})
    assert page == b'# TYPE up gauge\nup{replica="1"} 1\nup{replica="2"} 0\n'


@given(st.integers(0, len(PAGE)))
def test_a_merged_half_page_is_valid(length: int) -> None:
    page = merge({"1": PAGE[:length], "2": BUSY})
    assert len(samples(page)) >= len(samples(BUSY))
