"""Two results compared: what is known of a difference, and when nothing is said of it."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from tests.support.runs import made

from stoker.traffic import setups, student
from stoker.traffic.compare import Compared, Known, compare, interval, quantile_known, rate_known
from stoker.traffic.objectives import LatencyObjectives
from stoker.traffic.result import BINS, Result, of_run
from stoker.traffic.run import Environment

PAIRS = 16


@cache
def result(seed: int, ttft: float = 0.05, rate: float = 30.0, alike: float = 0.0) -> Result:
    return of_run(made(seed, rate, 40.0, ttft, tokens=4, alike=alike))


def rows(a: Result, b: Result) -> dict[str, Compared]:
    return {row.label: row for row in compare(a, b)}


# Student's t: the tables' own values


@pytest.mark.parametrize(
    ("share", "freedom", "table"),
    [(0.95, 1, 12.706), (0.95, 10, 2.228), (0.95, 30, 2.042), (0.99, 10, 3.169), (0.95, 1e6, 1.960)],
)  # fmt: skip
def test_students_t_is_the_tables(share: float, freedom: float, table: float) -> None:
    assert student.quantile(share, freedom) == pytest.approx(table, abs=0.0006)


def test_the_interval_of_a_ratio_is_welchs_on_its_logarithm() -> None:
    low, high = interval(Known(1.0, 0.01, 19), Known(2.0, 0.02, 19))
    half = student.quantile(0.95, 38) * math.sqrt(2e-4)
    assert (low, high) == pytest.approx((2 * math.exp(-half), 2 * math.exp(half)))


def test_an_interval_without_any_error_is_the_ratio() -> None:
    assert interval(Known(1.0, 0.0, 19), Known(2.0, 0.0, 19)) == (2.0, 2.0)


# a figure and its error


def test_a_rate_that_never_changes_is_known_exactly() -> None:
    found = rate_known([5.0] * BINS, [1.0] * BINS, 60.0)
    assert found is not None
    assert found.value == pytest.approx(20.0)
    assert found.error == pytest.approx(0.0, abs=1e-9)


def test_a_rate_of_few_pieces_is_not_known() -> None:
    assert rate_known([1.0] + [0.0] * (BINS - 1), [1.0] + [0.0] * (BINS - 1), 60.0) is None


def test_a_quantile_needs_observations_in_each_batch() -> None:
    observed = [(n / 10, (1.0,)) for n in range(40)]
    assert quantile_known(observed, 4.0, 0.5) is not None
    assert quantile_known(observed, 4.0, 0.99) is None
    assert quantile_known(observed[:30], 3.0, 0.5) is None


def test_neighbours_that_fare_alike_count_as_fewer() -> None:
    alternating = [(n / 100, (1.0 + n // 100 % 2,)) for n in range(2000)]
    rising = [(n / 100, (1.0 + (n >= 1000),)) for n in range(2000)]
    calm, slow = (quantile_known(one, 20.0, 0.5) for one in (alternating, rising))
    assert calm is not None
    assert slow is not None
    assert slow.freedom < calm.freedom
    assert slow.error > calm.error


# how often it is wrong, and how often it sees what is there


@pytest.mark.parametrize("alike", [0.0, 0.95])
def test_equal_runs_differ_by_no_more_than_chance(alike: float) -> None:
    """Of 160 figures 5 % would be 8; a tenth is far above what their dependence explains."""
    found = [
        row
        for n in range(PAIRS)
        for row in compare(result(2 * n, alike=alike), result(2 * n + 1, alike=alike))
    ]
    told = [row for row in found if row.low is not None]
    assert len(told) > 0.7 * len(found)
    assert sum(row.significant for row in told) <= 0.1 * len(told)


def test_the_same_run_twice_does_not_differ() -> None:
    for row in compare(result(1), result(1)):
        assert row.verdict == "no difference seen", row


def test_equal_seeds_do_not_make_a_difference_of_what_is_none() -> None:
    a, b = of_run(made(3, 30.0, 60.0, tokens=6)), of_run(made(3, 30.0, 60.0, 0.0501, tokens=6))
    assert rows(a, b)["ttft p50"].verdict == "no difference seen"


def test_a_fifth_more_is_seen_and_lies_in_its_interval() -> None:
    seen = [rows(result(2 * n), result(2 * n + 1, ttft=0.06))["ttft p50"] for n in range(12)]
    assert sum(row.verdict == "worse" for row in seen) >= 11
    assert (
        sum(row.low is not None and row.high is not None and row.low <= 1.2 <= row.high for row in seen) >= 10
    )


def test_faster_is_better_and_more_is_better() -> None:
    faster = rows(result(0, ttft=0.06), result(1))
    assert faster["ttft p50"].verdict == "better"
    more = rows(result(0, rate=15.0), result(1))
    assert more["output tokens/s"].verdict == "better"
    assert rows(result(1), result(0, rate=15.0))["requests/s"].verdict == "worse"


def test_a_short_run_says_so() -> None:
    short = of_run(made(1, 3.0, 10.0))
    assert {row.verdict for row in compare(short, short)} <= {"too short to tell", "no difference seen"}
    assert rows(short, short)["ttft p99"].verdict == "too short to tell"
    assert rows(short, short)["ttft p99"].ratio == 1.0


def test_nothing_against_something_is_seen_though_no_ratio_has_an_interval() -> None:
    none = of_run(made(1, failing=1.0))
    found = rows(result(0), none)
    assert (found["requests/s"].verdict, found["requests/s"].ratio) == ("worse", 0.0)
    assert rows(none, result(0))["goodput/s"].verdict == "better"
    assert found["ttft p50"].verdict == "not told"


def test_goodput_under_other_objectives_is_not_compared() -> None:
    other = replace(result(1), objectives=LatencyObjectives(ttft=1.0))
    assert rows(result(0), other)["goodput/s"].verdict == "not comparable"


def test_a_simulated_run_is_compared_like_a_measured_one() -> None:
    simulated = of_run(made(1, kind="simulated"))
    assert rows(of_run(made(2)), simulated)["ttft p50"].low is not None
    assert [one.rule for one in setups.comparable(of_run(made(2)), simulated)] == ["compare-kind"]


# set-ups


def test_what_differs_is_listed_down_to_the_field() -> None:
    a = replace(
        result(0), environment=Environment(engine="vLLM 0.31.0", spec={"replicas": 1, "engine": {"x": 1}})
    )
    b = replace(
        result(0), environment=Environment(engine="vLLM 0.32.0", spec={"replicas": 1, "engine": {"x": 2}})
    )
    assert [(one.what, one.a, one.b) for one in setups.differences(a, b)] == [
        ("engine", "vLLM 0.31.0", "vLLM 0.32.0"),
        ("spec engine.x", "1", "2"),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: replace(one, model="other"), "the models differ"),
        (lambda one: replace(one, workload={**one.workload, "input_len": "5"}), "the requests differ"),
        (lambda one: replace(one, workload={**one.workload, "rate": "5"}), "the load differs"),
        (lambda one: replace(one, input=200.0), "the prompts are not equally long"),
        (lambda one: replace(one, output=25.0), "the answers are not equally long"),
        (lambda one: replace(one, holds=False), "B cannot be believed"),
        (lambda one: replace(one, tool="guidellm 0.8.1"), "measured by two tools"),
    ],
)
def test_what_is_not_comparable_is_said(change: Callable[[Result], Result], said: str) -> None:
    found = [one.what for one in setups.comparable(result(0), change(result(0)))]
    assert len(found) == 1
    assert found[0].startswith(said)


def test_the_same_set_up_has_nothing_to_say() -> None:
    assert not list(setups.comparable(result(0), result(1)))
    assert not setups.differences(result(0), result(1))
