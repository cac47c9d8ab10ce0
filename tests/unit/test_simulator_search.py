"""The search for the cheapest setting, against answers that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stoker.simulator.choices import Choice, Weighed, front
from stoker.simulator.run import Interval
from stoker.simulator.search import Search, Wanted, attainable


def exactly(value: float) -> Interval:
    return Interval(value, value, value)


def weighed(choice: Choice, kept: float, cost: float, seeds: int = 1) -> Weighed:
    return Weighed(
        choice, exactly(kept), exactly(cost), seeds, broken={"ttft": 3}, near={"ttft": 2.5}, at_once=20.0
    )


def least_six(choices: Sequence[Choice], seeds: int) -> list[Weighed]:
    """A fleet that needs six replicas at its peak and three on average; batch-size 12 finds them."""
    out = []
    for one in choices:
        if one.scaling is None:
            out.append(weighed(one, 1.0 if one.high >= 6 else 0.1 * one.high, float(one.high), seeds))
            continue
        good = one.metric == "batch-size" and one.target <= 12 and one.high >= 6 and one.low >= 2
        cost = max(one.low, 3.0) + (12 - one.target) * 0.05 + (0.5 if one.behavior == "default" else 0.0)
        out.append(weighed(one, 1.0 if good else 0.9, cost, seeds))
    return out


def searched(evaluate: object, **wanted: object) -> Search:
    told: list[str] = []
    asked = {
        "share": 0.99,
        "bases": ("own",),
        "metrics": ("queue-depth", "batch-size"),
        "most": 64,
        "seeds": 3,
    }
    search = Search(Wanted(**{**asked, **wanted}), evaluate, told.append)  # type: ignore[arg-type]
    search.run()
    assert told
    return search


def test_it_finds_what_autoscaling_saves() -> None:
    found = searched(least_six).found
    assert found.static is not None
    assert found.static.choice.high == 6
    assert found.best is not None
    assert (found.best.choice.metric, found.best.seeds) == ("batch-size", 3)
    assert found.best.choice.low in (2, 3)
    assert found.best.cost.mean < 3.8
    assert found.best.cost.mean == min(one.cost.mean for one in found.tried if one.attainment.mean == 1)


def test_the_guide_is_held_against_it_at_equal_attainment() -> None:
    found = searched(least_six).found
    assert found.guide is not None
    assert (found.guide.choice.metric, found.guide.choice.target) == ("queue-depth", 10.0)
    assert found.guide.attainment.mean < 0.99
    assert found.guide_equal is not None  # as many as it needs: a fixed number, here
    assert found.guide_equal.attainment.mean >= 0.99
    assert found.best is not None
    assert found.best.cost.mean < found.guide_equal.cost.mean
    assert found.as_well is not None  # what keeps as little as the guide's own
    assert found.as_well.attainment.mean >= found.guide.attainment.mean
    assert found.as_well.cost.mean <= found.best.cost.mean


def test_one_replica_is_not_scaled() -> None:
    def easy(choices: Sequence[Choice], seeds: int) -> list[Weighed]:
        return [weighed(one, 1.0, float(one.high), seeds) for one in choices]

    found = searched(easy).found
    assert found.best is not None
    assert str(found.best.choice) == "1 replica"


def test_what_nothing_keeps_is_said_with_the_nearest() -> None:
    def hopeless(choices: Sequence[Choice], seeds: int) -> list[Weighed]:
        return [weighed(one, 0.5 + one.high / 1000, float(one.high), seeds) for one in choices]

    found = searched(hopeless, most=16).found
    assert (found.best, found.static) == (None, None)
    assert found.nearest is not None
    assert found.nearest.choice.high == 16
    assert attainable(found.nearest, {"ttft": 1.0, "itl": 0.1, "e2e": None}) == {"ttft": 2.5}


def test_chance_is_not_taken_for_good() -> None:
    """What keeps them with one seed, and not surely with several, is not suggested."""

    def lucky(choices: Sequence[Choice], seeds: int) -> list[Weighed]:
        out = []
        for one in choices:
            kept = Interval(0.995, 0.97 if one.high < 5 and seeds > 1 else 0.995, 1.0)
            good = one.metric is None and one.high >= 4
            out.append(Weighed(one, kept if good else exactly(0.5), exactly(float(one.high)), seeds))
        return out

    found = searched(lucky).found
    assert found.static is not None
    assert found.static.choice.high == 4
    assert found.best is not None
    assert found.best.choice.high == 5


def test_the_cheapest_base_is_searched() -> None:
    def prices(choices: Sequence[Choice], seeds: int) -> list[Weighed]:
        each = {"dear": 9.0, "cheap": 1.0, "slow": 0.5}
        needs = {"dear": 1, "cheap": 2, "slow": 1000}
        return [
            weighed(one, float(one.high >= needs[one.base]), one.high * each[one.base], seeds)
            for one in choices
        ]

    found = searched(prices, bases=("dear", "cheap", "slow"), most=8).found
    assert found.best is not None
    assert found.best.choice.base == "cheap"
    assert set(found.statics) == {"dear", "cheap"}


def test_nothing_is_tried_twice_with_as_many_seeds() -> None:
    seen: dict[Choice, list[int]] = {}

    def counted(choices: Sequence[Choice], seeds: int) -> list[Weighed]:
        for one in choices:
            seen.setdefault(one, []).append(seeds)
        return least_six(choices, seeds)

    searched(counted)
    assert all(sorted(set(each)) == each for each in seen.values())


def test_the_front_leaves_out_what_is_dearer_and_keeps_less() -> None:
    rows = [(1, 0.5), (2, 0.9), (3, 0.8), (4, 0.99), (5, 0.99)]
    found = front([weighed(Choice("own", n, n), kept, float(n)) for n, kept in rows])
    assert [one.cost.mean for one in found] == [1, 2, 4]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (Choice("own", 3, 3), "3 replicas"),
        (Choice("own", 1, 5, "queue-depth", 3.0), "1..5 on queue-depth 3"),
        (Choice("own", 2, 5, "batch-size", 12.0, "steady"), "2..5 on batch-size 12, steady"),
    ],
)
def test_a_choice_in_words(choice: Choice, words: str) -> None:
    assert str(choice) == words


def test_what_was_given_up_is_not_taken_for_good() -> None:
    """Until it is given up a trial may have kept all that was answered: what waits is not answered."""

    def hurried(choices: Sequence[Choice], seeds: int) -> list[Weighed]:
        return [
            replace(
                weighed(one, 1.0 if one.high >= 6 or seeds == 1 else 0.2, float(one.high), seeds),
                given_up=one.high < 6 and seeds == 1,
            )
            for one in choices
        ]

    found = searched(hurried).found
    assert found.static is not None
    assert found.static.choice.high == 6
    assert all(not one.given_up for one in found.front)
    poor = searched(hurried, most=4).found
    assert poor.nearest is not None
    assert (poor.nearest.given_up, poor.nearest.attainment.mean, poor.nearest.choice.high) == (False, 0.2, 4)
