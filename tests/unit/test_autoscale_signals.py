"""What the autoscaler reads of a fleet's state, and what it says of its decisions."""

from dataclasses import replace

import pytest

from stoker.autoscale import Controller, Figures, History, Lost, Scale, decide
from stoker.autoscale.from_spec import controller_of, policy_of
from stoker.autoscale.seen import Pod
from stoker.autoscale.shown import shown
from stoker.autoscale.signals import figures_of, mean_ttft, scale_of
from stoker.fleet.state import FleetState, Phase, Replica, Sample
from stoker.spec import load
from stoker.spec.nouns import Scaling
from stoker.units import Range, Seconds

NOW = 1000.0


def replica(name: str, phase: Phase = "Ready", sample: Sample | None = None, **more: object) -> Replica:
    return Replica(name, phase, NOW - 60, sample=sample, generation=1, **more)  # type: ignore[arg-type]


def state(*replicas: Replica, requests: int | None = None) -> FleetState:
    return FleetState("f", "local", NOW, wanted=len(replicas), replicas=replicas, requests=requests)


def policy(**metrics: float):  # type: ignore[no-untyped-def]
    return policy_of(Scaling({name.replace("_", "-"): value for name, value in metrics.items()}), Range(1, 5))


def test_each_metric_is_read_of_every_replica_that_tells_it() -> None:
    told = Sample(NOW, running=3, waiting=7, kv_cache_usage=0.25, ttft_sum=12.0, ttft_count=4)
    fleet = state(replica("1", sample=told), replica("2", "Starting"), requests=9)
    every = policy(queue_depth=5, batch_size=8, kv_cache=0.8, ttft=1, in_flight=4)
    past = {"1.1": [Sample(NOW - 50, ttft_sum=4.0, ttft_count=2), told]}
    pods = [{"1.1": 7000}, {"1.1": 3000}, {"1.1": 250}, {"1.1": 4000}]
    assert figures_of(every, fleet, past) == [*pods, (9000,)]
    assert [metric.target for metric in every.metrics] == [5000, 8000, 800, 1000, 4000]


def test_what_is_old_gone_or_absurd_is_no_figure() -> None:
    asked = policy(queue_depth=5)
    for sample in (
        Sample(NOW - 31, waiting=3),
        Sample(NOW, waiting=None),
        Sample(NOW, waiting=-1),
        Sample(NOW, waiting=float("nan")),
        Sample(NOW, waiting=float("inf")),
    ):
        assert isinstance(figures_of(asked, state(replica("1", sample=sample)), {})[0], Lost)
    leaving = state(replica("1", "Draining", Sample(NOW, waiting=3)))
    assert isinstance(figures_of(asked, leaving, {})[0], Lost)
    assert isinstance(figures_of(policy(in_flight=5), state(), {})[0], Lost), "nobody has told"


@pytest.mark.parametrize(
    ("phase", "restarts", "pod"),
    [
        ("Pending", 0, ("Pending", False, False)),
        ("Pending", 2, ("Running", False, False)),
        ("Loading", 0, ("Running", False, False)),
        ("Ready", 0, ("Running", True, False)),
        ("Failed", 3, ("Running", False, False)),
        ("Draining", 0, ("Running", False, True)),
    ],
)
def test_replicas_are_pods_as_a_cluster_has_them(
    phase: Phase, restarts: int, pod: tuple[str, bool, bool]
) -> None:
    found = scale_of(state(replica("1", phase, restarts=restarts))).pods[0]
    assert (found.phase, found.ready, found.deleting) == pod


def test_a_mean_of_the_last_minute() -> None:
    now = Sample(NOW, ttft_sum=100.0, ttft_count=50)
    assert mean_ttft(now, [Sample(NOW - 300, ttft_sum=0.0, ttft_count=0), replace(now, at=NOW - 59)]) == 0.0
    assert mean_ttft(now, [Sample(NOW - 60, ttft_sum=80.0, ttft_count=40)]) == 2.0
    assert mean_ttft(now, [Sample(NOW - 10, ttft_sum=900.0, ttft_count=400)]) == 0.0, "it has begun anew"
    assert mean_ttft(Sample(NOW), []) is None


def test_a_decision_in_words_with_what_comes_next() -> None:
    asked = policy(queue_depth=10)
    pods = (Pod("1.1"), Pod("2.1", "Pending", False))
    scale = Scale(2, 2, pods)
    figures: list[Figures] = [{"1.1": 17_000}]
    decision = decide(asked, scale, figures, History(()), 0.0)
    found = shown("f Fleet/f", asked, scale, decision, figures, 0.0, Controller(), 0.0)
    assert found.reason == (
        "queue-depth is 17 a replica over 1, 10 wanted; 1 not serving yet counted as 0: 8.5: that flips the "
        "direction, it keeps 2"
    )
    assert found.soon == ""
    quiet: list[Figures] = [{"1.1": 0, "2.1": 0}]
    busy = Scale(2, 2, (Pod("1.1"), Pod("2.1")))
    decision = decide(asked, busy, quiet, History(), 0.0)
    found = shown("f Fleet/f", asked, busy, decision, quiet, 0.0, Controller(), 0.0)
    assert found.soon == "to 1 in 300 s, if the figures stay"


SPEC = "replicas: {replicas}\nscaling: {{metrics: {{{metrics}}}, sync_period: {period}}}\n"


def text(replicas: str = "1..3", metrics: str = "queue-depth: 5", period: str = "15s") -> str:
    return SPEC.format(replicas=replicas, metrics=metrics, period=period)


def test_the_file_says_it_in_its_own_units() -> None:
    spec = load(text(metrics="kv-cache: 80%, ttft: 500ms", period="5s"))
    assert spec.scaling is not None
    assert dict(spec.scaling.metrics) == {"kv-cache": 0.8, "ttft": 0.5}
    assert controller_of(spec.scaling).sync == Seconds(5)
    assert spec.scales
    assert not load("").scales


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"metrics": "kv-cache: 1.5"}, "more than the whole cache"),
        ({"metrics": "ttft: soon"}, "no target"),
        ({"metrics": "queue-depth: 0"}, "greater than 0"),
        ({"metrics": "queue: 5"}, "queue"),
        ({"period": "0.1s"}, "from a second"),
        ({"replicas": "0..3"}, "nothing would bring it back"),
    ],
)
def test_what_cannot_be_meant(changes: dict[str, str], says: str) -> None:
    from stoker.errors import SpecError

    with pytest.raises(SpecError) as caught:
        load(text(**changes), "stoker.yaml")
    assert says in str(caught.value.finding)
    assert caught.value.finding.at.startswith("stoker.yaml:")
    assert caught.value.finding.fix


@pytest.mark.parametrize(
    ("more", "metrics", "says"),
    [
        ("{}", "in-flight: 5", "none stands in front"),
        ("{scaler: autoscaling-metric, platform: plain}", "queue-depth: 5", "GKE's own"),
        ("{scaler: autoscaling-metric}", "ttft: 1s", "gauges only"),
        ("{scaler: keda}", "queue-depth: 5", "none is named"),
        ("{scaler: keda, keda: {server: 'ftp://x'}}", "queue-depth: 5", "expected an address"),
    ],
)
def test_what_only_a_cluster_refuses(more: str, metrics: str, says: str) -> None:
    from stoker.errors import SpecError

    body = text(metrics=metrics) + f"kubernetes: {more}\n"
    if "ftp" not in more:
        load(body)  # here it is taken
    with pytest.raises(SpecError) as caught:
        load(body + "target: kubernetes\n")
    assert says in str(caught.value.finding)
