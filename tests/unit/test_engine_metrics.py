"""vLLM's metrics pages, merged. `prometheus_client`'s parser is the oracle."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from stoker.engine.metrics import merge, relabel

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
