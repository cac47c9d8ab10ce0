"""The HPA's oracle against a real controller's recordings, and against tables worked out by hand from the
controller's rules: targets are 10 (Pods), 5 and 100 (External), the tolerance 0.1."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from benchmarks.hpa_oracle import Controller, __main__
from benchmarks.hpa_oracle.recorded import replay

Json = dict[str, Any]
DATA = Path(__file__).resolve().parents[1] / "data/hpa/recorded.jsonl"
RECORDED: list[Json] = [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]
FLAGS = {
    "horizontal-pod-autoscaler-tolerance": 0.1,
    "horizontal-pod-autoscaler-downscale-stabilization": "10s",
}
NOW = 1_800_000_000.0


def rules(value: int = 900, period: int = 15, window: int = 0, **more: Any) -> Json:
    policies = more.pop("policies", [{"type": "Percent", "value": value, "periodSeconds": period}])
    return {"stabilizationWindowSeconds": window, "selectPolicy": "Max", "policies": policies} | more


FREE = {"scaleUp": rules(), "scaleDown": rules(100)}


def hpa(kind: str, target: Json, behavior: Json | None = FREE, low: int = 1, high: int = 20) -> Json:
    metrics = [{"type": kind, kind.lower(): {"metric": {"name": "m"}, "target": target}}]
    return {"minReplicas": low, "maxReplicas": high, "metrics": metrics} | (
        {"behavior": behavior} if behavior else {}
    )


PODS = hpa("Pods", {"type": "AverageValue", "averageValue": "10"})
EXTERNAL = {"type": "AverageValue", "averageValue": "5"}


def pods(*phases: str) -> list[Json]:
    """Pods a, b, c …: "Running" ones are ready, "unready" run and are not."""
    return [
        {
            "name": "abcdefghij"[number],
            "phase": {"unready": "Running", "deleting": "Running"}.get(phase, phase),
            "ready": phase in ("Running", "deleting"),
            "deleting": phase == "deleting",
        }
        for number, phase in enumerate(phases)
    ]


def running(count: int) -> list[Json]:
    return pods(*["Running"] * count)


def each(*values: str | None) -> Json:
    return {"m": {"abcdefghij"[number]: value for number, value in enumerate(values) if value is not None}}


class Look:
    """A controller that is asked again and again."""

    def __init__(self, spec: Json, *, to_zero: bool = False, **flags: Any) -> None:
        self.spec = spec
        self.controller = Controller(FLAGS | flags, to_zero)

    def __call__(
        self, replicas: int, metrics: Json, seconds: float = 0, listed: list[Json] | None = None, **more: Any
    ) -> Json:
        scale = {"spec": replicas, "status": more.pop("status", replicas)}
        listed = running(replicas) if listed is None else listed
        return self.controller.reconcile(self.spec, scale, listed, metrics, NOW + seconds, **more)


def condition(answer: Json, kind: str) -> str:
    return next((str(one["reason"]) for one in answer["status"]["conditions"] if one["type"] == kind), "")


@pytest.mark.parametrize("recorded", RECORDED, ids=[one["id"] for one in RECORDED])
def test_it_decides_as_a_real_controller(recorded: Json) -> None:
    assert [str(one) for one in replay(recorded)] == []


def _without_event(one: Json) -> None:
    one["hpa_events"] = [{"message": "another"}]


CHANGES: dict[str, Callable[[Json], object]] = {
    "decision": lambda one: one["syncs"][1].update(decision=7),
    "spec_replicas_after": lambda one: one["syncs"][1].update(spec_replicas_after=7),
    "currentMetrics": lambda one: one["syncs"][0]["status"].update(currentMetrics=None),
    "lastScaleTime": lambda one: one["syncs"][2]["status"].update(lastScaleTime=None),
    "condition": lambda one: one["syncs"][2]["status"]["conditions"][1].update(message="another"),
    "order of conditions": lambda one: one["syncs"][3]["status"]["conditions"].reverse(),
    "event": _without_event,
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_difference_is_told(what: str) -> None:
    recorded = json.loads(json.dumps(RECORDED[1]))
    CHANGES[what](recorded)
    assert what in {one.what for one in replay(recorded)}


def test_a_reconcile_that_fetched_nothing_counts() -> None:
    recorded = json.loads(json.dumps(next(one for one in RECORDED if one["id"] == "pods-below-min")))
    recorded["status_updates"] = recorded["status_updates"][-1:]
    assert "order of conditions" in {one.what for one in replay(recorded)}


def test_the_command_exits_by_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["hpa_oracle", str(DATA), "--quiet"])
    assert __main__.main() == 0
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(
        DATA.read_text(encoding="utf-8").replace('"decision": 4', '"decision": 5'), encoding="utf-8"
    )
    monkeypatch.setattr("sys.argv", ["hpa_oracle", str(wrong)])
    assert __main__.main() == 1
    assert "decision: recorded 5, oracle 4" in capsys.readouterr().out


BY_POD: dict[str, tuple[int, tuple[str, ...], tuple[str | None, ...], int]] = {
    # what: replicas, phases of pods a b c …, what each reports, the decision
    "the guide: 17/10 over 2, one not serving": (2, ("Running", "Running"), ("17", None), 2),
    "both at 17": (2, ("Running", "Running"), ("17", "17"), 4),
    "1.1 keeps": (2, ("Running", "Running"), ("11", "11"), 2),
    "1.1001 moves": (2, ("Running", "Running"), ("11.001", "11001m"), 3),
    "0.9 keeps": (10, ("Running",) * 10, ("9",) * 10, 10),
    "0.8999 moves": (10, ("Running",) * 10, ("8999m",) * 10, 9),
    "the mean is cut to whole milli": (3, ("Running",) * 3, ("10", "11", "12.002"), 3),
    "a figure is rounded up to whole milli": (1, ("Running",), ("11.0000001",), 2),
    "missing down: at the target": (4, ("Running",) * 4, ("1", "1", None, None), 3),
    "missing up: at 0": (4, ("Running",) * 4, ("30", "30", None, None), 6),
    "pending up: at 0": (8, ("Running",) * 4 + ("Pending",) * 4, ("30",) * 4, 12),
    "pending down: not counted": (8, ("Running",) * 4 + ("Pending",) * 4, ("5",) * 4, 2),
    "a pending pod's figure is dropped": (2, ("Running", "Pending"), ("10", "90"), 2),
    "unready counts with what it reports": (2, ("Running", "unready"), ("20", "20"), 4),
    "deleted is left out": (4, ("Running",) * 3 + ("deleting",), ("20",) * 3 + ("0",), 6),
    "failed is left out": (4, ("Running",) * 3 + ("Failed",), ("20",) * 3 + ("0",), 6),
    "succeeded is missing, in 1.36": (2, ("Running", "Succeeded"), ("20", None), 2),
    "surge pods count": (2, ("Running",) * 3, ("20", "20", "20"), 6),
    "a pod that is gone is in the mean": (1, ("Running",), ("10", "30"), 2),
    "negative goes to the minimum": (2, ("Running",) * 2, ("-5", "-5"), 1),
    "more pods than asked turn it: keep": (2, ("Running",) * 4, ("5", "5", "5", None), 2),
    "no int32 holds it: to the minimum, in 1.36": (3, ("Running",) * 3, ("30G",) * 3, 1),
}


@pytest.mark.parametrize("what", BY_POD)
def test_pods_metric(what: str) -> None:
    replicas, phases, values, decision = BY_POD[what]
    assert Look(PODS)(replicas, each(*values), listed=pods(*phases))["decision"] == decision


TOTALS: dict[str, tuple[Any, int, int | None, str]] = {
    # what: the figure, status.replicas, the decision at 4 replicas, what the status shows
    "1.1 keeps": ("22", 4, 4, "5500m"),
    "1.10005 moves": ("22.001", 4, 5, "5501m"),
    "values are summed": (["10", "8"], 4, 4, "4500m"),
    "judged by status, not by spec": ("20", 2, 4, "10"),
    "zero": ("0", 4, 1, "0"),
    "below zero is an overflow": ("-1", 4, 20, "9223372036854775807m"),
    "none there yet": ("31", 0, 7, "-9223372036854775808m"),
}


@pytest.mark.parametrize("what", TOTALS)
def test_external_average_value(what: str) -> None:
    figure, status, decision, shown = TOTALS[what]
    answer = Look(hpa("External", EXTERNAL))(4, {"m": figure}, status=status)
    assert answer["decision"] == decision
    assert answer["status"]["currentMetrics"][0]["external"]["current"] == {"averageValue": shown}


@pytest.mark.parametrize(
    ("figure", "ready", "decision"),
    [("250", 2, 5), ("200", 0, 1), ("110", 2, 4), ("110.001", 2, 3), ("90", 1, 4), ("3G", 1, 20)],
)
def test_external_value_multiplies_by_ready_pods(figure: str, ready: int, decision: int) -> None:
    listed = pods(*["Running"] * ready, *["unready"] * (4 - ready))
    spec = hpa("External", {"type": "Value", "value": "100"})
    assert Look(spec)(4, {"m": figure}, listed=listed)["decision"] == decision


FAILURES: dict[str, tuple[str, Any, str]] = {
    "unknown": (
        "Pods",
        None,
        "unable to get metric m: unable to fetch metrics from custom metrics API: no metric m",
    ),
    "no items": ("Pods", {}, "unable to get metric m: no metrics returned from custom metrics API"),
    "not serving": ("Pods", {"b": "1"}, "did not receive metrics for targeted pods (pods might be unready)"),
    "external": (
        "External",
        [],
        "unable to get external metric default/m/nil: no metrics returned from external metrics API",
    ),
}


@pytest.mark.parametrize("what", FAILURES)
def test_a_metric_that_fails_holds(what: str) -> None:
    kind, figure, words = FAILURES[what]
    answer = Look(hpa(kind, {"type": "AverageValue", "averageValue": "5"}))(
        2, {"m": figure}, listed=pods("unready", "Pending")[1 if what == "not serving" else 0 :]
    )
    assert answer["decision"] is None
    assert answer["spec_replicas_after"] == 2
    assert answer["status"]["currentMetrics"] == [{"type": ""}]
    told = answer["status"]["conditions"][-1]
    assert told["reason"] == f"FailedGet{kind}Metric"
    assert told["message"] == f"the HPA was unable to compute the replica count: {words}"


@pytest.mark.parametrize(("load", "decision"), [("20", 4), ("5", None), ("10", 2)])
def test_one_of_two_fails(load: str, decision: int | None) -> None:
    """It goes up and keeps, and does not go down."""
    spec = PODS | {"metrics": [*PODS["metrics"], *hpa("External", EXTERNAL)["metrics"]]}
    spec["metrics"][1]["external"]["metric"] = {"name": "n"}
    assert Look(spec)(2, each(load, load) | {"n": None})["decision"] == decision


def test_out_of_bounds_is_decided_without_metrics() -> None:
    look = Look(PODS | {"minReplicas": 3, "maxReplicas": 5})
    assert [
        (answer["decision"], answer["fetched"]) for answer in (look(9, {}), look(1, {}), look(0, {}))
    ] == [
        (5, False),
        (3, False),
        (0, False),
    ]
    assert condition(look(0, {}), "ScalingActive") == "ScalingDisabled"


def test_without_behavior_it_doubles_and_waits() -> None:
    look = Look(hpa("Pods", {"type": "AverageValue", "averageValue": "10"}, None))
    assert look(1, each("90"))["decision"] == 4
    up = look(4, each(*["90"] * 4), 5)
    assert (up["decision"], condition(up, "ScalingLimited")) == (8, "ScaleUpLimit")
    low = each(*["1"] * 8)
    assert [look(8, low, seconds)["decision"] for seconds in (10, 15, 15.001)] == [16, 16, 1]


def test_with_a_window_the_last_instant_is_out() -> None:
    look = Look(PODS | {"behavior": FREE | {"scaleDown": rules(100, window=10)}})
    look(2, each("40", "40"))
    low = each(*["10"] * 8)
    assert look(8, low)["decision"] == 8
    few = each(*["1"] * 8)
    held = look(8, few, 9.999)
    assert (held["decision"], condition(held, "AbleToScale")) == (8, "ScaleDownStabilized")
    assert look(8, few, 10)["decision"] == 1


def test_a_window_upwards_takes_the_lowest() -> None:
    look = Look(PODS | {"behavior": FREE | {"scaleUp": rules(window=10)}})
    assert look(2, each("10", "10"))["decision"] == 2
    held = look(2, each("30", "30"), 5)
    assert (held["decision"], condition(held, "AbleToScale")) == (2, "ScaleUpStabilized")
    assert look(2, each("40", "40"), 10)["decision"] == 6


def test_a_policy_counts_its_period() -> None:
    two = rules(policies=[{"type": "Pods", "value": 2, "periodSeconds": 15}])
    look = Look(PODS | {"behavior": FREE | {"scaleUp": two}})
    assert [
        look(count, each(*["90"] * count), at)["decision"] for count, at in ((2, 0), (4, 14.999), (4, 15))
    ] == [
        4,
        4,
        6,
    ]


@pytest.mark.parametrize(
    ("way", "policy", "figure", "decision"),
    [
        ("scaleUp", ("Percent", 15, "Max"), "90", 12),  # 11.5, rounded up
        ("scaleUp", ("Pods", 3, "Disabled"), "90", 10),
        ("scaleDown", ("Percent", 25, "Max"), "0", 7),  # 7.5, cut
        ("scaleDown", ("Pods", 3, "Max"), "0", 7),
        ("scaleDown", ("Pods", 3, "Disabled"), "0", 10),
    ],
)
def test_rates(way: str, policy: tuple[str, int, str], figure: str, decision: int) -> None:
    kind, value, select = policy
    limited = rules(policies=[{"type": kind, "value": value, "periodSeconds": 15}], selectPolicy=select)
    look = Look(PODS | {"behavior": FREE | {way: limited}})
    assert look(10, each(*[figure] * 10))["decision"] == decision


@pytest.mark.parametrize(("select", "up", "down"), [("Max", 16, 4), ("Min", 11, 9)])
def test_several_policies(select: str, up: int, down: int) -> None:
    both = rules(
        policies=[
            {"type": "Pods", "value": 1, "periodSeconds": 15},
            {"type": "Percent", "value": 60, "periodSeconds": 15},
        ],
        selectPolicy=select,
    )
    spec = PODS | {"behavior": {"scaleUp": both, "scaleDown": both}}
    assert Look(spec)(10, each(*["90"] * 10))["decision"] == up
    assert Look(spec)(10, each(*["0"] * 10))["decision"] == down


def test_a_tolerance_for_each_direction() -> None:
    spec = PODS | {"behavior": {"scaleUp": rules(tolerance="50m"), "scaleDown": rules(100, tolerance="300m")}}
    figures = ("10500m", "10501m", "7", "6999m")
    assert [Look(spec)(10, each(*[one] * 10))["decision"] for one in figures] == [10, 11, 10, 7]


def test_to_zero_and_back() -> None:
    look = Look(hpa("External", EXTERNAL, low=0), to_zero=True)
    down = look(2, {"m": "0"})
    assert (down["decision"], condition(down, "ScaledToZero")) == (0, "ScaledToZero")
    assert look(0, {"m": "0"}, 5)["decision"] == 0
    back = look(0, {"m": "1"}, 10)
    assert (back["decision"], condition(back, "ScaledToZero")) == (1, "NotScaledToZero")
    by_hand = look(0, {"m": "9"}, 15)
    assert (by_hand["decision"], by_hand["fetched"]) == (0, False)


def test_from_zero_to_a_minimum_that_was_raised() -> None:
    look = Look(hpa("External", EXTERNAL, low=0), to_zero=True)
    look(2, {"m": "0"})
    look.spec = look.spec | {"minReplicas": 3}
    raised = look(0, {"m": "0"}, 5)
    assert (raised["decision"], raised["rescale_reason"]) == (
        3,
        "Current number of replicas below Spec.MinReplicas",
    )


def test_two_on_the_same_pods() -> None:
    answer = Look(PODS)(2, each("20", "20"), rivals=["default/y"])
    assert (answer["decision"], answer["fetched"], answer["status"]["currentMetrics"]) == (None, False, None)
    told = "pods by selector app=x are controlled by multiple HPAs: [default/x default/y]"
    assert answer["status"]["conditions"][-1]["message"] == told


def cpu(target: Json, kind: str = "Resource", **source: Any) -> Json:
    field = kind[0].lower() + kind[1:]
    return PODS | {"metrics": [{"type": kind, field: {"name": "cpu", "target": target} | source}]}


def test_utilization_is_of_the_requests() -> None:
    listed = [
        one | {"requests": {"app": {"cpu": "500m"}}, "start_time": 0, "ready_since": 5} for one in running(2)
    ]
    half = {"type": "Utilization", "averageUtilization": 50}
    answer = Look(cpu(half))(2, {"cpu": {"a": "400m", "b": "405m"}}, listed=listed)
    assert answer["decision"] == 4
    shown = {"averageUtilization": 80, "averageValue": "402m"}
    assert answer["status"]["currentMetrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "current": shown}}
    ]
    one = Look(cpu(half, "ContainerResource", container="app"))(2, {"app/cpu": {"a": "1"}}, listed=listed)
    assert (one["decision"], condition(one, "ScalingActive")) == (4, "ValidMetricFound")
    # Down, what is missing counts as all of its request, not as the target: 10 % and 100 % are 55 %: keep.
    assert Look(cpu(half))(2, {"cpu": {"a": "50m"}}, listed=listed)["decision"] == 2


@pytest.mark.parametrize(
    ("what", "decision"),
    [
        ({}, 4),
        ({"ready": False}, 3),
        ({"ready_since": NOW - 40}, 3),  # its sample began before it was ready
        ({"ready_since": NOW - 60}, 4),
        ({"start_time": NOW - 300, "ready": False, "ready_since": NOW - 269}, 4),  # it was ready once
        ({"start_time": NOW - 300, "ready": False, "ready_since": NOW - 271}, 3),  # it never was
        ({"start_time": NOW - 300, "ready": True, "ready_since": NOW - 1}, 4),
        ({"ready_since": None}, 3),
        ({"start_time": None}, 3),
    ],
)
def test_cpu_of_pods_that_start(what: Json, decision: int) -> None:
    """Two pods at 2 of 1: 4; where the second says nothing yet it counts 0 upwards: (3 + 0) / 2 of 1 is 3."""
    listed = [one | {"start_time": NOW - 299, "ready_since": NOW - 100} for one in running(2)]
    listed[1] |= what
    second = "1" if decision == 4 else "9"
    figures = {
        name: {"value": value, "timestamp": NOW - 30, "window": 30}
        for name, value in (("a", "3"), ("b", second))
    }
    look = Look(cpu({"type": "AverageValue", "averageValue": "1"}))
    assert look(2, {"cpu": figures}, listed=listed)["decision"] == decision
