"""The HPA's algorithm by named situations: what the quick formula gets wrong, and the guide's own trace."""

import math

import pytest

from stoker.autoscale import Controller, History, Lost, Metric, Pod, Policy, Rate, Rules, Scale, decide
from stoker.autoscale.foresight import next_change
from stoker.autoscale.hpa import ABOVE, BELOW
from stoker.autoscale.hpa_object import read_policy, selector_text
from stoker.autoscale.memory import from_plain, to_plain
from stoker.autoscale.policy import UP
from stoker.autoscale.quantity import milli, number, written

ASKED = Metric("Pods", "queue-depth", 10_000)
FREE = Policy(1, 20, (ASKED,), Rules(0, (Rate("Percent", 1000, 15),)), Rules(0, (Rate("Percent", 100, 15),)))
TO_ZERO = Controller(scale_to_zero=True)


def pods(count: int, **each: object) -> tuple[Pod, ...]:
    return tuple(Pod(f"p{n}", **each) for n in range(count))  # type: ignore[arg-type]


def values(*each: float) -> dict[str, int]:
    return {f"p{n}": round(value * 1000) for n, value in enumerate(each)}


def fresh(count: int, policy: Policy = FREE) -> History:
    """As after a first sync long ago, at which nothing was asked for."""
    return History(recommendations=())


SITUATIONS = [
    ("on target", pods(2), values(10, 10), 2),
    ("1.1 times the target keeps", pods(2), values(11, 11), 2),
    ("a mean of 11.0005 is cut to 11.000", pods(2), {"p0": 11_000, "p1": 11_001}, 2),
    ("a thousandth above moves", pods(2), values(11.001, 11.001), 3),
    ("0.9 times the target keeps", pods(10), values(*[9.0] * 10), 10),
    ("just under moves", pods(10), values(*[8.999] * 10), 9),
    ("who has not started counts 0 upwards", (*pods(1), Pod("p1", "Pending", False)), values(17), 2),
    ("and is left out downwards", (*pods(2), Pod("p2", "Pending", False)), values(1, 1), 1),
    ("who tells nothing counts 0 upwards", pods(4), values(20, 20), 4),
    ("and as at the target downwards", pods(4), values(2, 2), 3),
    ("who runs and is not ready counts with what it tells", pods(2, ready=False), values(20, 20), 4),
    ("who leaves is not heard", (*pods(1), Pod("p1", deleting=True)), values(10, 60), 2),
    ("nor who has failed", (*pods(1), Pod("p1", "Failed")), values(10, 60), 2),
    ("who is no pod any more is heard all the same", pods(1), values(10, 30), 2),
]


@pytest.mark.parametrize(("name", "there", "told", "wanted"), SITUATIONS, ids=[one[0] for one in SITUATIONS])
def test_pods(name: str, there: tuple[Pod, ...], told: dict[str, int], wanted: int) -> None:
    assert decide(FREE, Scale(len(there), len(there), there), [told], fresh(1), 0.0).wanted == wanted


def test_the_trace_that_the_guide_prints() -> None:
    """At 17/10 over two pods of which one does not serve yet plain rounding asks for four: it holds at
    two."""
    policy, history = Policy(1, 5, (ASKED,)), History()
    first = decide(policy, Scale(1, 1, pods(1)), [values(17)], history, 0.0)
    assert (first.wanted, first.why) == (2, "pods metric queue-depth above target")
    starting = (Pod("p0"), Pod("p1", "Pending", None))
    second = decide(policy, Scale(2, 2, starting), [values(17)], first.history, 15.0)
    assert second.wanted == 2
    assert second.proposals is not None
    assert second.proposals.each[0] is not None
    assert second.proposals.each[0].kept == "direction"  # 8.5 of 10 would mean fewer
    third = decide(policy, Scale(2, 2, pods(2)), [values(17, 17)], second.history, 30.0)
    assert third.wanted == 4


def external(target: float, kind: str = "AverageValue") -> Policy:
    metric = Metric("External", "x", milli(target), kind)  # type: ignore[arg-type]
    return Policy(0, 20, (metric,), UP, FREE.down)


def test_a_total_ignores_readiness_and_a_value_multiplies_by_it() -> None:
    there = (*pods(2), *(Pod(f"q{n}", ready=False) for n in range(2)))
    assert decide(external(5), Scale(4, 4, there), [(25_000,)], fresh(1), 0.0).wanted == 5
    assert decide(external(10, "Value"), Scale(4, 4, there), [(25_000,)], fresh(1), 0.0).wanted == 5
    assert decide(external(10, "Value"), Scale(4, 4, there), [(15_000,)], fresh(1), 0.0).wanted == 3
    assert decide(external(5), Scale(4, 4, there), [(10_000, 8_000)], fresh(1), 0.0).wanted == 4


def test_to_zero_and_back_and_not_what_a_person_took_there() -> None:
    down = decide(external(5), Scale(2, 2, pods(2)), [(0,)], fresh(1), 0.0, TO_ZERO)
    assert (down.wanted, down.condition("ScaledToZero").reason) == (0, "ScaledToZero")  # type: ignore[union-attr]
    still = decide(external(5), Scale(0, 0, ()), [(0,)], down.history, 15.0, TO_ZERO)
    assert (still.wanted, still.computed) == (0, True)
    back = decide(external(5), Scale(0, 0, ()), [(1_000,)], still.history, 30.0, TO_ZERO)
    assert back.wanted == 1
    shares_alone = Policy(0, 20, external(5).metrics, FREE.up, FREE.down)
    stuck = decide(shares_alone, Scale(0, 0, ()), [(1_000,)], still.history, 30.0, TO_ZERO)
    assert stuck.wanted == 0, "so many percent of nothing are nothing"
    by_hand = decide(external(5), Scale(0, 0, ()), [(99_000,)], History(), 0.0, TO_ZERO)
    assert by_hand.condition("ScalingActive").reason == "ScalingDisabled"  # type: ignore[union-attr]
    assert by_hand.wanted == 0


def test_a_lost_metric_only_goes_up() -> None:
    policy = Policy(1, 20, (ASKED, Metric("Pods", "batch-size", 10_000)), FREE.up, FREE.down)
    lost = Lost("no metrics returned from custom metrics API")
    up = decide(policy, Scale(2, 2, pods(2)), [lost, values(20, 20)], fresh(1), 0.0)
    assert (up.wanted, up.computed) == (4, True)
    down = decide(policy, Scale(2, 2, pods(2)), [lost, values(1, 1)], fresh(1), 0.0)
    assert (down.wanted, down.computed) == (2, False)
    assert down.history.recommendations == (), "nothing is recommended while it cannot compute"
    said = down.condition("ScalingActive")
    assert said is not None
    assert said.message.endswith(f"unable to get metric queue-depth: {lost.why}")


def test_bounds_are_met_without_looking_at_figures() -> None:
    policy = Policy(3, 5, (ASKED,), FREE.up, FREE.down)
    low = decide(policy, Scale(1, 1, pods(1)), [Lost("x")], fresh(1), 0.0)
    assert (low.wanted, low.why, low.proposals) == (3, BELOW, None)
    high = decide(policy, Scale(9, 9, pods(9)), [Lost("x")], fresh(1), 0.0)
    assert (high.wanted, high.why) == (5, ABOVE)


def test_without_behavior_up_to_twice_or_four_and_down_after_five_minutes() -> None:
    policy, history = Policy(1, 32, (ASKED,)), History()
    found = []
    count = 1
    for sync in range(4):
        decision = decide(
            policy, Scale(count, count, pods(count)), [values(*[900] * count)], history, 15.0 * sync
        )
        history, count = decision.history, decision.wanted
        found.append(count)
    assert found == [4, 8, 16, 32]
    for sync in range(4, 40):
        decision = decide(
            policy, Scale(count, count, pods(count)), [values(*[0] * count)], history, 15.0 * sync
        )
        history = decision.history
        if decision.wanted != count:
            break
    assert 15.0 * sync - 45.0 > 300.0
    assert decision.wanted == 1


def test_rates_count_what_was_changed_within_their_period() -> None:
    rules = Rules(0, (Rate("Pods", 2, 60), Rate("Percent", 10, 60)), "Max")
    policy = Policy(1, 50, (ASKED,), rules, FREE.down)
    count, history, found = 10, History(), []
    for sync in range(6):
        decision = decide(
            policy, Scale(count, count, pods(count)), [values(*[90] * count)], history, 15.0 * sync
        )
        history, count = decision.history, decision.wanted
        found.append(count)
    assert found == [12, 12, 12, 12, 14, 14]
    assert decision.condition("ScalingLimited").reason == "ScaleUpLimit"  # type: ignore[union-attr]


def test_a_clock_that_steps_back_moves_nothing_wrongly() -> None:
    decision = decide(FREE, Scale(2, 2, pods(2)), [values(20, 20)], History(), 1000.0)
    later = decide(FREE, Scale(4, 4, pods(4)), [values(10, 10, 10, 10)], decision.history, 10.0)
    assert later.wanted == 4


@pytest.mark.parametrize("bad", [math.nan, -1.0])
def test_two_hpas_on_the_same_pods_stop_it(bad: float) -> None:
    scale = Scale(2, 2, pods(2), "n", "app=x", ("n/x", "n/y"))
    decision = decide(FREE, scale, [values(20, 20)], fresh(1), 0.0)
    assert (decision.wanted, decision.computed) == (2, False)
    assert decision.condition("ScalingActive").reason == "AmbiguousSelector"  # type: ignore[union-attr]


def test_what_comes_next_is_foreseen() -> None:
    policy = Policy(1, 20, (ASKED,), FREE.up, Rules(60, (Rate("Pods", 1, 60),)))
    scale, told = Scale(4, 4, pods(4)), [values(1, 1, 1, 1)]
    decision = decide(policy, scale, told, History(), 0.0)
    assert decision.wanted == 4
    coming = next_change(policy, scale, told, decision, 0.0, Controller())
    assert coming == (3, 60.0)
    now, history = 0.0, decision.history
    while decision.wanted == 4:
        now += 15.0
        decision = decide(policy, scale, told, history, now)
        history = decision.history
    assert (decision.wanted, now) == coming


def test_history_survives_being_written() -> None:
    decision = decide(FREE, Scale(2, 2, pods(2)), [values(20, 20)], History(), 5.0, TO_ZERO)
    assert from_plain(to_plain(decision.history)) == decision.history
    broken: object
    for broken in ({}, {"recommendations": 3}, [], None):
        with pytest.raises(ValueError, match="history"):
            from_plain(broken)


@pytest.mark.parametrize(
    ("text", "thousandths"),
    [
        ("5", 5000),
        ("2500m", 2500),
        ("0.0005", 1),
        ("-0.0005", -1),
        ("1k", 10**6),
        ("1Ki", 1_024_000),
        ("1e3", 10**6),
    ],
)
def test_quantities_are_whole_thousandths(text: str, thousandths: int) -> None:
    assert milli(text) == thousandths


@pytest.mark.parametrize(
    ("value", "text"), [(5000, "5"), (11_009, "11009m"), (10**6, "1k"), (0, "0"), (-500, "-500m")]
)
def test_quantities_are_written_as_the_api_does(value: int, text: str) -> None:
    assert written(value) == text
    assert written(1_024_000, binary=True) == "1Ki"


@pytest.mark.parametrize("text", ["", "x", "5 m", "1KB", "nan", "inf", "0x10", "٣"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        milli(text)


def test_an_object_is_read_with_the_defaults_of_the_api() -> None:
    metric = {
        "type": "Pods",
        "pods": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "5"}},
    }
    policy = read_policy(
        {"maxReplicas": 3, "metrics": [metric], "behavior": {"scaleDown": {"tolerance": "0.05"}}}
    )
    assert (policy.low, policy.high, policy.metrics[0].target) == (1, 3, 5000)
    assert policy.up == Rules(0, (Rate("Pods", 4, 15), Rate("Percent", 100, 15)))
    assert policy.down == Rules(None, (Rate("Percent", 100, 15),), "Max", 0.05)
    assert number("0.0001") == 0.0001, "a tolerance below a thousandth is kept"
    assert selector_text({"matchLabels": {"a": "b"}}) == (
        "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}"
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"maxReplicas": 0}, "maxReplicas: 0"),
        ({"minReplicas": 9}, "less than minReplicas"),
        ({"minReplicas": -1}, "minReplicas"),
        ({"metrics": [{"type": "Nope"}]}, "type"),
        (
            {
                "metrics": [
                    {"type": "Pods", "pods": {"metric": {"name": "q"}, "target": {"averageValue": "0"}}}
                ]
            },
            "above zero",
        ),
        ({"metrics": [{"type": "Pods", "pods": {"metric": {"name": "q"}, "target": {}}}]}, "expected one of"),
    ],
)
def test_what_the_api_would_refuse(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_policy({"maxReplicas": 3, "metrics": [], **change})
