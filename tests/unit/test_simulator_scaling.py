"""What scales a simulated fleet decides as what scales a real one: a local fleet's autoscaler, an HPA's
trace, KEDA from 0 to 1 and back."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.simulating import ROOMY, USUAL, books, open_load, queue_policy, ran, trace, waves

from stoker.autoscale.from_spec import controller_of, policy_of
from stoker.autoscale.policy import Controller, Policy
from stoker.fleet.state import FleetState
from stoker.operate.autoscaler import Autoscaler
from stoker.simulator.fleet import Fleet
from stoker.simulator.from_plan import LOCAL
from stoker.simulator.scenario import Keda, NodePool, Scenario, Starting, Watching
from stoker.spec import load as load_spec
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.traffic.lengths import fixed
from stoker.traffic.workload import Synthetic
from stoker.units import Range

SHORT = Synthetic(fixed(64), fixed(40))
FEW = replace(ROOMY, max_num_seqs=4)
STARTING = Starting((("Starting", 2.0), ("Loading", 1.0)))
BEHAVIOR = {
    "scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 4}]},
    "scaleDown": {"stabilizationWindowSeconds": 12},
}


def spec(replicas: str, **metrics: float) -> ServeSpec:
    """A fleet here that scales itself."""
    import json

    value: dict[str, Any] = {"name": "f", "model": "./model", "engine": {"kind": "simulated"}}
    value["scaling"] = {"metrics": metrics, "sync_period": 4, "behavior": BEHAVIOR}
    return load_spec(json.dumps(value | {"replicas": replicas}))


def watched(scenario: Scenario) -> tuple[Fleet, list[FleetState]]:
    """A fleet after its end, with its state at each look, as a local target would show it."""
    fleet, states = Fleet(scenario), list[FleetState]()
    look = fleet.scaler.look

    def looked(now: float, pods: Any, held: int) -> None:
        look(now, pods, held)
        seen = tuple(pod.seen() for pod in fleet.pods)
        states.append(FleetState("f", "local", now, wanted=fleet.wanted, replicas=seen, requests=held))

    fleet.scaler.look = looked  # type: ignore[method-assign]
    fleet.run()
    return fleet, states


class RealOne:
    """The local fleet's autoscaler itself, on a clock and a target that are given."""

    def __init__(self, spec: ServeSpec, first: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.changes = 0.0, list[tuple[float, int, int]]()
        monkeypatch.setattr(clock, "monotonic", lambda: self.now)
        monkeypatch.setattr(clock, "now", lambda: self.now)
        self.one = Autoscaler("f")
        self.one.fleet.target.folder.make()
        self.one._spec = ((), spec)
        self.one._due = first
        monkeypatch.setattr(self.one, "_change", self._changed)

    def _changed(self, decision: Any, state: FleetState) -> None:
        self.changes.append((self.now, state.wanted, decision.wanted))

    def look(self, state: FleetState) -> None:
        """One tick of its loop."""
        self.now = state.at
        running = SimpleNamespace(processes=(1,), replicas=state.wanted, spec=())
        target = SimpleNamespace(running=lambda: running, observe=lambda: state, folder=self.one._folder)
        self.one.fleet.__dict__["target"] = target
        self.one.look()


@pytest.mark.parametrize(
    ("replicas", "metrics"),
    [
        ("1..4", {"queue-depth": 1}),
        ("1..4", {"batch-size": 2}),
        ("1..4", {"ttft": 0.5}),
        ("2..6", {"queue-depth": 2, "kv-cache": 0.02}),
        ("0..3", {"in-flight": 5}),
    ],
    ids=str,
)
def test_the_same_figures_lead_to_the_same_decisions_as_a_local_fleets(
    replicas: str, metrics: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STOKER_HOME", str(tmp_path))
    asked = spec(replicas, **metrics)
    assert asked.scaling is not None
    scenario = Scenario(
        FEW,
        USUAL,
        waves(0.2, 30, 40, 3, SHORT),
        asked.replicas,
        policy_of(asked.scaling, asked.replicas),
        controller_of(asked.scaling),
        LOCAL,
        starting=STARTING,
    )
    fleet, states = watched(scenario)
    assert len(fleet.scaler.decisions) >= 4
    real = RealOne(asked, 2.0, monkeypatch)
    for state in states:
        real.look(state)
    assert real.changes == [(one.at, one.before, one.wanted) for one in fleet.scaler.decisions]


def test_a_sleeping_fleet_here_is_woken_by_its_first_request() -> None:
    """The local autoscaler does not let who waits wait for its period."""
    scenario = Scenario(
        FEW,
        USUAL,
        trace((0.0, 10, 5), (400.2, 10, 5)),
        Range(0, 2),
        queue_policy(0, 2, name="in-flight"),
        Controller(scale_to_zero=True),
        LOCAL,
        starting=STARTING,
    )
    fleet = ran(scenario)
    assert [count for _, count in fleet.counts] == [1, 0, 1]
    woken = fleet.requests[-1].ttft
    assert woken is not None
    assert woken < 1 + STARTING.seconds + 0.1


KEDA = Keda(polling=10.0, cooldown=60.0)


def keda(**more: Any) -> Scenario:
    """A fleet that KEDA takes to zero: busy for a moment at 100 s, then at 400 s."""
    return Scenario(
        FEW,
        USUAL,
        trace((100.0, 50, 20), (400.0, 50, 20)),
        Range(0, 3),
        queue_policy(0, 3, name="in-flight", target=4),
        keda=KEDA,
        watching=Watching(5.0),
        starting=STARTING,
        **more,
    )


def test_keda_goes_from_zero_to_one_and_back() -> None:
    fleet = ran(keda(queue_timeout=60.0))
    assert [count for _, count in fleet.counts] == [0, 1, 0, 1]
    woken, slept = fleet.counts[1][0], fleet.counts[2][0]
    assert 100 <= woken <= 100 + KEDA.polling + 5
    assert fleet.requests[0].last_at is not None
    idle = slept - fleet.requests[0].last_at
    assert KEDA.cooldown - 5 <= idle <= KEDA.cooldown + KEDA.polling + 5
    assert books(fleet)["answered"] == 2
    assert fleet.requests[0].ttft == pytest.approx(woken - 100 + STARTING.seconds, abs=1)
    assert "a trigger is active" in fleet.scaler.decisions[0].reason


def test_a_rarer_poll_wakes_later() -> None:
    late = ran(replace(keda(queue_timeout=100.0), keda=Keda(80.0, 60.0)))
    assert late.counts[1][0] == 120.0


def test_at_zero_a_service_refuses_and_an_endpoint_holds() -> None:
    refused = ran(keda(queue_timeout=0.0))
    assert {one.failed for one in refused.requests} == {"refused"}
    assert len(refused.counts) == 1  # nobody sees them, so nothing wakes it
    late = ran(keda(queue_timeout=2.0))
    assert {one.failed for one in late.requests} == {"status"}


def scaled(policy: Policy, rate: float = 20.0, **more: Any) -> Fleet:
    """One replica that has too much to do."""
    load = open_load(rate, seconds=180, prompts=SHORT)
    return ran(Scenario(FEW, USUAL, load, Range(policy.low, policy.high), policy, starting=STARTING, **more))


def test_a_policy_of_kubernetes_doubles_at_most_each_period() -> None:
    fleet = scaled(queue_policy(1, 16, target=1))
    grown = [count for _, count in fleet.counts]
    assert grown[1] == 5  # four pods, which is more than double
    assert max(grown) == 16
    for (before, count), (after, more) in zip(fleet.counts, fleet.counts[1:], strict=False):
        assert more <= max(count + 4, 2 * count)
        assert after - before >= 15


def test_figures_that_are_late_make_it_scale_later() -> None:
    soon, late = (scaled(queue_policy(1, 8), watching=Watching(15.0, delay)) for delay in (0.0, 60.0))
    assert late.counts[1][0] >= soon.counts[1][0] + 45


def test_who_starts_counts_as_idle_so_that_it_is_not_asked_for_twice() -> None:
    """Most of the guide's trace: at 17/10 with two pods, of which one does not serve yet, the HPA holds."""
    slow = Starting((("Pulling", 100.0),))
    load = open_load(1.6, seconds=250, law="constant", prompts=Synthetic(fixed(10), fixed(1000)))
    limits = replace(ROOMY, max_num_seqs=256, num_gpu_blocks=20_000)
    policy = queue_policy(1, 5, target=10, name="batch-size")
    made = Scenario(limits, USUAL, load, Range(1, 5), policy, starting=slow, pool=NodePool(93.0))
    fleet = ran(made)
    first = fleet.counts[1][0]
    assert fleet.counts[1][1] == 2
    while_starting = [count for at, count in fleet.counts if first < at < first + 190]
    assert while_starting == []
