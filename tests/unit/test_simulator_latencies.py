"""The moments of a simulated run as a scrape of its engines would have told them."""

from array import array

import pytest

from stoker.fleet.points import Point
from stoker.simulator.latencies import ENOUGH, points
from stoker.traffic.records import RequestRecord
from stoker.traffic.run import Moment


def moments(rates: list[float]) -> list[Moment]:
    """One a second, from the first."""
    return [
        Moment(float(at), Point(float(at), ready=1, generation_tokens_rate=rate))
        for at, rate in enumerate(rates, 1)
    ]


def answered(due: float, *times: float) -> RequestRecord:
    return RequestRecord(0, due, times=array("d", times), last=times[-1])


def test_a_rate_is_the_mean_of_the_last_seconds() -> None:
    found = points(moments([10.0, 0.0, 0.0, 0.0]), (), 2.0)
    # the first moment tells of no span; then each second counts for two
    assert [one.generation_tokens_rate for one in found] == [10.0, 0.0, 0.0, 0.0]
    found = points(moments([0.0, 10.0, 20.0, 0.0, 0.0]), (), 2.0)
    assert [one.generation_tokens_rate for one in found] == [0.0, 10.0, 15.0, 10.0, 0.0]


def test_latencies_are_of_what_came_in_the_span() -> None:
    records = [answered(0.0, 0.5, 0.6, 0.9), answered(2.0, 3.5, 3.6)]
    found = points(moments([0.0] * 5), records, 2.0)
    assert [one.ttft_p50 for one in found] == [0.5, 0.5, None, 1.5, 1.5]
    assert [one.itl_p99 for one in found] == pytest.approx([0.3, 0.3, None, 0.1, 0.1])
    assert [one.ready for one in found] == [1] * 5


def test_without_records_latencies_stay_unknown() -> None:
    assert [one.ttft_p50 for one in points(moments([1.0, 1.0]), (), 10.0)] == [None, None]


def test_of_very_many_some_are_enough() -> None:
    times = [n / (20 * ENOUGH) for n in range(20 * ENOUGH)]
    record = answered(0.0, *times)
    (found,) = points(moments([1.0])[:1], [record], 10.0)
    assert found.itl_p50 == pytest.approx(1 / (20 * ENOUGH))


def test_a_moment_with_nothing_before_it() -> None:
    assert points((), (), 10.0) == []
