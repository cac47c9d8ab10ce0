"""A run's figures against sums made by hand and an oracle of another make; records go out and back."""

import json
import math
import statistics
from array import array
from random import Random
from typing import Any

import pytest

from stoker.traffic.measures import Window, measured_window, quantile, spread, summarize
from stoker.traffic.objectives import LatencyObjectives, parse
from stoker.traffic.records import Failure, RequestRecord, from_json, to_json


def record(
    index: int = 0,
    scheduled: float = 0.0,
    sent: float | None = None,
    times: tuple[float, ...] = (),
    counts: tuple[int, ...] | None = None,
    last: float | None = None,
    failure: Failure | None = None,
    **more: Any,
) -> RequestRecord:
    sent = scheduled if sent is None else sent
    last = (times[-1] if times else sent) if last is None else last
    return RequestRecord(
        index, scheduled, sent, sent, array("d", times), counts, last, failure=failure, **more
    )


ONE = record(scheduled=1.0, sent=1.5, times=(2.0, 2.2, 2.6), last=2.7, input=10, output=3)


def test_latencies_count_from_due_and_from_sent() -> None:
    found = summarize([ONE], Window(0, 10))
    assert found.ttft.p50 == pytest.approx(1.0)
    assert found.ttft_sent.p50 == pytest.approx(0.5)
    assert found.e2e.p50 == pytest.approx(1.7)
    assert found.e2e_sent.p50 == pytest.approx(1.2)
    assert found.lag.p50 == pytest.approx(0.5)
    assert found.tpot.p50 == pytest.approx(0.3)
    assert found.itl.mean == pytest.approx(0.3)


def test_tokens_that_come_together_are_no_time_apart() -> None:
    several = record(times=(1.0, 2.0), counts=(1, 3))
    assert several.gaps() == [1.0, 0.0, 0.0]
    assert several.tpot == pytest.approx(1.0 / 3)
    assert several.streamed == 4


def test_several_tokens_in_the_first_event() -> None:
    assert record(times=(1.0, 2.0), counts=(2, 1)).gaps() == [0.0, 1.0]


def test_quantiles_are_those_of_the_statistics_module() -> None:
    random = Random(5)
    for count in (2, 3, 10, 101):
        values = sorted(random.expovariate(1) for _ in range(count))
        cuts = statistics.quantiles(values, n=100, method="inclusive")
        assert [quantile(values, share / 100) for share in range(1, 100)] == pytest.approx(cuts)


def test_a_spread_of_nothing_is_empty_and_a_quantile_of_nothing_is_none() -> None:
    assert spread([]).count == 0
    assert math.isnan(quantile([], 0.5))


def test_only_requests_that_were_due_in_the_window_are_measured() -> None:
    records = [record(n, float(n), times=(n + 0.5,), output=1) for n in range(10)]
    found = summarize(records, Window(2, 8))
    assert (found.requests, found.completed, found.output_rate) == (6, 1.0, 1.0)


def test_failures_are_requests_and_break_objectives() -> None:
    broken = record(1, 1.0, failure=Failure("status", "busy", 503))
    other = record(2, 2.0, failure=Failure("cut"))
    found = summarize([ONE, broken, other], Window(0, 10), LatencyObjectives(ttft=2.0))
    assert (found.requests, found.failed) == (3, 2)
    assert found.errors == {"status 503": 1, "cut": 1}
    assert found.attainment == pytest.approx(1 / 3)
    assert found.goodput == pytest.approx(0.1)


def test_what_the_end_of_a_test_cut_off_is_in_no_figure() -> None:
    cut = record(1, 1.0, failure=Failure("cancelled"))
    assert summarize([ONE, cut], Window(0, 10)).requests == 1


def test_objectives_are_broken_by_name() -> None:
    slow = record(times=(3.0, 3.1), last=3.2)
    dull = record(times=(0.1, 1.1), last=1.2)
    found = summarize([slow, dull], Window(0, 10), parse("ttft=1s,itl=500ms,e2e=1s"))
    assert found.broken == {"ttft": 1, "itl": 1, "e2e": 2}
    assert found.attainment == 0.0


@pytest.mark.parametrize("text", ["ttft", "ttft=", "ttft=0s", "speed=1s", "ttft=1s,ttft=2s", "ttft=-1s", ""])
def test_objectives_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_concurrency_is_the_mean_over_time() -> None:
    records = [record(0, 0.0, last=4.0, times=(1.0,)), record(1, 2.0, last=6.0, times=(3.0,))]
    found = summarize(records, Window(0, 8))
    assert found.concurrency == pytest.approx(8 / 8)
    assert found.peak_concurrency == 2


def test_littles_law_holds_for_random_requests() -> None:
    random = Random(3)
    records = []
    for number in range(500):
        due = random.uniform(0, 90)
        end = due + random.expovariate(0.5)
        records.append(record(number, due, times=(end,), last=end))
    end = max(one.last or 0.0 for one in records)
    found = summarize(records, Window(0, end))
    assert found.concurrency == pytest.approx(found.completed * found.e2e.mean, rel=0.01)


def test_the_window_ends_with_new_requests_or_with_the_last_answer() -> None:
    assert measured_window([ONE], 1.0, 60.0).end == 60.0
    assert measured_window([ONE], 0.0, math.inf).end == pytest.approx(2.7)


def test_prompts_of_another_length_are_counted() -> None:
    wrong = record(1, 1.0, times=(2.0,), input=11, output=1, wanted=10)
    assert summarize([ONE, wrong], Window(0, 10)).mismatched == 1


@pytest.mark.parametrize(
    "one",
    [
        ONE,
        record(3, 1.0, times=(1.5, 2.0), counts=(1, 4), input=3, output=5, cached=2),
        record(4, 2.0, failure=Failure("status", "no", 503)),
        RequestRecord(5, 3.0, failure=Failure("refused", "nobody")),
    ],
)
def test_records_go_out_and_back(one: RequestRecord) -> None:
    back = from_json(json.loads(json.dumps(to_json(one))))
    assert list(back.times) == pytest.approx(list(one.times))
    assert list(back.counts or ()) == list(one.counts or ())
    same = (
        "index",
        "scheduled",
        "sent",
        "first_event",
        "last",
        "input",
        "output",
        "cached",
        "failure",
        "turn",
    )
    assert [getattr(back, name) for name in same] == [getattr(one, name) for name in same]
