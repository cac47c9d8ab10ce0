"""Each known cause, by what a cluster says of it."""

from dataclasses import replace

import pytest
from tests.support.signs import EVENTS, NONE, OTHERS, STAGES, WRITTEN
from tests.unit.test_why_events import EVENTS as OF_CONTAINERS
from tests.unit.test_why_making import REFUSALS
from tests.unit.test_why_scheduling import EXACT, SENTENCES

from stoker.advise.why import why
from stoker.advise.why.rule import SHOWN, explained
from stoker.catalog import rules
from stoker.engine.last_error import last_error
from stoker.fleet.state import Evidence, FleetState, Replica, Service
from stoker.targets.kubernetes.stages import cause

NOW = 1000.0
POD = "shop-7d9c-abcde"


def state(
    *evidence: Evidence, replica: Replica | None = None, services: tuple[Service, ...] = ()
) -> FleetState:
    one = replica or Replica(POD, "Pending", NOW - 252)
    return FleetState(
        "shop", "kubernetes/ml-serve", NOW, wanted=1, replicas=(one,), services=services, evidence=evidence
    )


def event(reason: str, text: str, subject: str = f"Pod/{POD}", count: int = 7) -> Evidence:
    return Evidence("event", subject, reason, text, count, NOW - 12)


def test_what_the_fleet_has_got_over_explains_nothing() -> None:
    ready = Replica(POD, "Ready", NOW - 20)
    refused = event(
        "FailedCreate", 'pods "x" is forbidden: exceeded quota: gpus, used', "ReplicaSet/shop-7d9c"
    )
    lost = event("Evicted", "The node was low on resource", "Pod/shop-7d9c-zzzzz")
    waited = event("FailedScheduling", NONE + "23 Insufficient nvidia.com/gpu.")
    assert why(state(refused, lost, waited, replica=ready), NOW) == ()
    loading = Replica(POD, "Loading", NOW - 20, detail="8.2 of 12.8 GiB")
    assert [one.rule for one in why(state(waited, replica=loading), NOW)] == ["why-unknown"]
    sent_back = event(
        "UnexpectedAdmissionError",
        "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu",
        "Pod/shop-7d9c-zzzzz",
    )
    waiting = Replica(POD, "Pending", NOW - 20)
    for reason in ("UnexpectedAdmissionError", "OutOfnvidia.com/gpu", "NodeAffinity"):
        again = why(state(replace(sent_back, reason=reason), replica=waiting), NOW)
        assert [one.rule for one in again] == ["why-node-refused"]
    assert why(state(sent_back, replica=ready), NOW) == ()
    assert "why-evicted" in [
        one.rule for one in why(state(lost, replica=Replica(POD, "Pending", NOW - 20)), NOW)
    ]


@pytest.mark.parametrize(("rule", "reason", "text"), EVENTS)
def test_events_of_a_pod(rule: str, reason: str, text: str) -> None:
    (found,) = why(state(event(reason, text)), NOW)
    assert found.rule == f"why-{rule}"
    assert found.what.startswith(f"replica {POD} has been Pending for 4m12s: ")
    assert f"{reason}: {text} x7, 12s ago" in found.why
    assert found.fix


@pytest.mark.parametrize(("rule", "subject", "reason", "text"), OTHERS)
def test_events_of_other_objects(rule: str, subject: str, reason: str, text: str) -> None:
    (found,) = why(state(event(reason, text, subject)), NOW)
    assert (found.rule, found.at) == (f"why-{rule}", subject)
    assert "{" not in found.what


def test_an_engines_own_cause_comes_before_the_kubelets() -> None:
    cause = last_error(["ValueError: No available memory for the cache blocks."])
    one = Replica(
        POD, "Failed", NOW - 60, detail="CrashLoopBackOff", last_error=cause.what, restarts=3, cause=cause
    )
    found = why(state(event("BackOff", "Back-off restarting failed container"), replica=one), NOW)
    assert [each.rule for each in found] == ["engine-kv", "why-crash-loop"]
    assert found[0].fix == cause.fix


def test_what_is_on_its_way_again_is_not_told_of_its_last_end() -> None:
    cause = last_error(["ValueError: No available memory for the cache blocks."])
    one = Replica(POD, "Loading", NOW - 60, restarts=1, last_error=cause.what, cause=cause)
    page = Service("page", "Starting", NOW - 1, restarts=1, last_error=cause.what, cause=cause)
    assert {found.rule for found in why(state(replica=one, services=(page,)), NOW)} == {"why-unknown"}
    waits = replace(one, phase="Pending", detail="starts again in 5 s")
    assert [found.rule for found in why(state(replica=waits), NOW)] == ["engine-kv"]


def test_a_state_of_an_older_stoker_keeps_its_sentence() -> None:
    """Its words are evidence: no rule reads a sentence back."""
    words = "max-num-batched-tokens 512 is below max-num-seqs 1024"
    one = Replica(POD, "Failed", NOW - 60, detail="CrashLoopBackOff", last_error=words)
    (found,) = why(state(replica=one), NOW)
    assert found.rule == "why-engine"
    assert words in found.what


@pytest.mark.parametrize(("rule", "text"), STAGES)
def test_the_copy(rule: str, text: str) -> None:
    stage = Service("weights", "Failed", NOW - 60, last_error=text, cause=cause(text))
    found = why(state(services=(stage,)), NOW)
    assert found[0].rule == f"why-{rule}"


def test_the_guides_own_trail() -> None:
    """No GPU is free, the autoscaler adds a node: wait."""
    text = (
        "0/3 nodes are available: 1 Insufficient ephemeral-storage, 1 Insufficient nvidia.com/gpu, 2 "
        "node(s) didn't match Pod's node affinity/selector."
    )
    trail = (
        event("FailedScheduling", text),
        event("TriggeredScaleUp", "pod triggered scale-up: [{grp 1->2 (max: 20)}]"),
    )
    (found,) = why(state(*trail), NOW)
    assert (found.rule, found.severity) == ("why-gpu-coming", "note")


def test_a_rollout_without_a_spare_gpu() -> None:
    old = Replica("shop-1-a", "Ready", NOW - 900, current=False)
    new = Replica(POD, "Pending", NOW - 60, detail=NONE + "23 Insufficient nvidia.com/gpu.")
    seen = FleetState("shop", "kubernetes/ml-serve", NOW, wanted=1, replicas=(old, new))
    (found,) = why(seen, NOW)
    assert found.rule == "why-rollout-gpu"
    assert "surge: false" in found.fix


def test_several_causes_are_ranked() -> None:
    trail = (
        event("FailedScheduling", NONE + "23 Insufficient nvidia.com/gpu."),
        event("NotTriggerScaleUp", "pod didn't trigger scale-up: 1 max node group size reached"),
    )
    assert [found.rule for found in why(state(*trail), NOW)] == ["why-pool-at-limit", "why-gpu-taken"]


def test_a_cause_is_told_of_the_replica_it_is_of() -> None:
    first = Replica("1", "Starting", NOW - 10)
    oom = last_error(["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"])
    tenth = Replica("10", "Failed", NOW - 20, last_error=oom.what, cause=oom)
    found = why(replace(state(replica=first), replicas=(first, tenth)), NOW)
    assert found[0].what.startswith("replica 10 has been Failed"), "and not of replica 1"


def test_a_leader_without_workers() -> None:
    one = Replica("shop-0", "Starting", NOW - 60, detail="1 of 2 pods of its group are there")
    (found,) = why(state(replica=one), NOW)
    assert found.rule == "why-group-incomplete"


def test_what_is_over_explains_nothing() -> None:
    ready = Replica(POD, "Ready", NOW - 60)
    assert why(state(event("FailedScheduling", NONE + "23 Insufficient cpu."), replica=ready), NOW) == ()
    old = Evidence("event", f"Pod/{POD}", "FailedScheduling", NONE + "23 Insufficient cpu.", 1, NOW - 7200)
    (found,) = why(state(old), NOW)
    assert found.rule == "why-unknown"


def recorded() -> list[tuple[str, list[Evidence]]]:
    """Each sign with those beside it, the sign first."""
    out = [(rule, event(reason, text)) for rule, reason, text in (*EVENTS, *WRITTEN)]
    out += [(rule, event(reason, text, subject)) for rule, subject, reason, text in OTHERS]
    out += [(rule, event("FailedScheduling", f"0/9 nodes are available: {text}")) for rule, text in SENTENCES]
    out += [(rule, event(reason, text)) for rule, reason, text, _ in EXACT]
    out += [(rule, event("FailedCreate", text)) for rule, text, _ in REFUSALS]
    out += [(rule.removeprefix("why-"), event(reason, text)) for reason, text, rule in OF_CONTAINERS]
    waits = event("FailedScheduling", NONE + "1 Insufficient nvidia.com/gpu.")
    return [
        *((rule, [sign]) for rule, sign in out),
        ("gpu-coming", [waits, event("TriggeredScaleUp", "1->2")]),
    ]


def test_every_row_has_a_recorded_case() -> None:
    hit: set[int] = set()
    for rule, evidence in recorded():
        found = explained(evidence[0], evidence)
        assert found is not None, rule
        assert found[1].rule == f"why-{rule}"
        hit.add(id(found[0]))
    assert [(one.id, one.text) for one in rules.of(*SHOWN) if one.reason and id(one) not in hit] == []
