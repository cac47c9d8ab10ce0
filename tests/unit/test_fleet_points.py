"""Points out of samples: rates, shares and quantiles over a window, with restarts, silence and jumping
clocks."""

import math

import pytest

from stoker.engine.samples import Histogram, MetricSample
from stoker.fleet.points import COLUMNS, Point, Window


def sample(tokens: float, slow: float = 0.0, running: float = 1.0) -> MetricSample:
    histogram = Histogram((0.1, 1.0, math.inf), (tokens, tokens + slow, tokens + slow))
    counters = {
        "generation_tokens": tokens,
        "prefix_queries": tokens,
        "prefix_hits": tokens / 2,
        "errors": slow,
    }
    return MetricSample(0.0, {"running": running, "kv_cache_usage": 0.5}, counters, {"ttft": histogram})


def test_rates_are_over_the_window_and_the_fleets_are_the_sums() -> None:
    window = Window(10.0)
    for second in range(21):
        whole, one, two = window.add(
            float(second), 100.0 + second, {"1": sample(5.0 * second), "2": sample(20.0 * second)}, 2, 3
        )
    assert (whole.ready, whole.wanted) == (2, 3)
    assert whole.generation_tokens_rate == pytest.approx(25.0)
    assert (one.generation_tokens_rate, two.generation_tokens_rate) == (
        pytest.approx(5.0),
        pytest.approx(20.0),
    )
    assert whole.running == 2.0
    assert whole.kv_cache_usage == 0.5
    assert whole.prefix_hit_share == pytest.approx(0.5)
    assert one.ttft_p50 == pytest.approx(0.05)


def test_a_restart_is_no_negative_rate_and_silence_is_no_zero() -> None:
    window = Window(10.0)
    window.add(0.0, 0.0, {"1": sample(1000.0)})
    window.add(1.0, 1.0, {"1": sample(1010.0)})
    whole, one = window.add(2.0, 2.0, {"1": sample(4.0)})
    assert one.generation_tokens_rate == pytest.approx((10 + 4) / 2.0)
    whole, one = window.add(3.0, 3.0, {"1": None})
    assert one == Point(3.0, "1")
    assert whole.running is None
    assert whole.generation_tokens_rate is None


def test_a_replica_that_came_late_or_went_takes_nothing_with_it() -> None:
    window = Window(10.0)
    window.add(0.0, 0.0, {"1": sample(0.0)})
    window.add(1.0, 1.0, {"1": sample(10.0), "2": sample(1e6)})
    whole, _ = window.add(2.0, 2.0, {"1": sample(20.0)})
    assert whole.generation_tokens_rate == pytest.approx(10.0), (
        "what it had before it was seen is not counted"
    )


def test_a_wall_clock_that_jumps_changes_no_rate() -> None:
    window = Window(10.0)
    window.add(0.0, 5000.0, {"1": sample(0.0)})
    _, one = window.add(1.0, 100.0, {"1": sample(10.0)})
    assert one.at == 100.0
    assert one.generation_tokens_rate == pytest.approx(10.0)


def test_the_columns_are_a_points_fields() -> None:
    assert COLUMNS[:2] == ("at", "replica")
    assert len(COLUMNS) == 19


def test_a_replica_that_was_silent_does_not_catch_up_in_one_step() -> None:
    window = Window(10.0)
    rates = []
    for second in range(40):
        talks = not 10 <= second < 30
        samples = {
            name: MetricSample(second, counters={"generation_tokens": 100.0 * second})
            if talks or name == "1"
            else None
            for name in ("1", "2")
        }
        whole, *_ = window.add(float(second), float(second), samples)
        rates.append(whole.generation_tokens_rate)
    assert all(rate is None or rate <= 200.0 + 1e-6 for rate in rates), rates
    assert rates[-1] is not None
    assert rates[-1] > 150


def test_an_engine_that_leaves_a_merged_page_is_no_reset_of_the_others() -> None:
    def look(at: float, **counts: float) -> MetricSample:
        series = {"generation_tokens": {name.encode(): value for name, value in counts.items()}}
        return MetricSample(at, counters={"generation_tokens": sum(counts.values())}, series=series)

    window = Window(10.0)
    looks = [
        look(0, a=1e6, b=1e6),
        look(1, a=1e6 + 100, b=1e6 + 100),
        look(2, a=1e6 + 200),
        look(3, a=1e6 + 300, b=1e6 + 300),
    ]
    rates = [window.add(one.at, one.at, {"1": one})[0].generation_tokens_rate for one in looks]
    assert all(rate is None or rate <= 200 for rate in rates), rates
