"""The scheduler's sentences of Kubernetes 1.30 to 1.36, read clause by clause: the nodes that could matter
decide."""

from dataclasses import replace

import pytest

from stoker.advise.why import why
from stoker.advise.why.scheduling import Clause, clauses, judged
from stoker.fleet.state import Evidence, FleetState, Replica, Service

NOW = 1000.0
POD = "shop-7d9c-abcde"
HELP = "preemption: 0/9 nodes are available: 9 Preemption is not helpful for scheduling."
VICTIMS = (
    "preemption: 0/9 nodes are available: 2 Preemption is not helpful for scheduling, 7 No preemption "
    "victims found for incoming pod."
)
NEW = "no new claims to deallocate, "
MATCH = "node(s) didn't match Pod's node affinity/selector"
# What is said, after "0/9 nodes are available: ", by 1.36 where a taint has no name, by 1.30 to 1.34 where it
# has one.
SENTENCES = [
    ("no-accelerator", f"2 node(s) had untolerated taint(s), 7 {MATCH}. {NEW}{HELP}"),
    (
        "no-accelerator",
        f"2 node(s) had untolerated taint {{node-role.kubernetes.io/control-plane: }}, 7 {MATCH}. {HELP}",
    ),
    ("no-accelerator", f"2 node(s) had untolerated taint {{dedicated: ml}}, 7 {MATCH}. {HELP}"),
    ("gpu-taken", f"2 node(s) had untolerated taint(s), 7 Insufficient nvidia.com/gpu. {NEW}{VICTIMS}"),
    ("gpu-taken", f"2 {MATCH}, 7 Insufficient nvidia.com/gpu. {VICTIMS}"),
    (
        "gpu-taken",
        "3 Insufficient memory, 9 Insufficient nvidia.com/gpu. preemption: not eligible due to "
        "preemptionPolicy=Never.",
    ),
    ("too-large", f"2 node(s) had untolerated taint(s), 7 Insufficient nvidia.com/gpu. {NEW}{HELP}"),
    ("too-large", f"9 Insufficient memory. {NEW}{HELP}"),
    ("node-memory", f"2 Insufficient memory, 7 Insufficient nvidia.com/gpu. {VICTIMS}"),
    ("cordoned", f"3 node(s) were unschedulable, 6 {MATCH}. {HELP}"),
    ("cordoned", f"2 node(s) had untolerated taint(s), 7 node(s) were unschedulable. {HELP}"),
    (
        "nodes-not-ready",
        f"3 node(s) had untolerated taint {{node.kubernetes.io/not-ready: }}, 6 {MATCH}. {HELP}",
    ),
    ("nodes-not-ready", f"9 node(s) had untolerated taint {{node.kubernetes.io/unreachable: }}. {HELP}"),
    (
        "taint",
        f"2 node(s) had untolerated taint {{node-role.kubernetes.io/control-plane: }}, 7 node(s) had "
        f"untolerated taint {{dedicated: ml}}. {HELP}",
    ),
    ("taint-unnamed", f"9 node(s) had untolerated taint(s). {NEW}{HELP}"),
    ("zone", f"1 node(s) didn't match PersistentVolume's node affinity, 8 {MATCH}. {HELP}"),
    ("zone", f"1 node(s) had volume node affinity conflict, 8 Insufficient nvidia.com/gpu. {HELP}"),
    ("zone", f"1 node(s) had no available volume zone, 8 {MATCH}. {HELP}"),
    ("claim-pending", f"1 node(s) didn't find available persistent volumes to bind, 8 {MATCH}. {HELP}"),
    ("volume-count", f"1 node(s) exceed max volume count, 8 {MATCH}. {HELP}"),
    ("spread", f"1 node(s) didn't match pod topology spread constraints, 8 {MATCH}. {HELP}"),
    (
        "spread",
        f"1 node(s) didn't match pod topology spread constraints (missing required label), 8 {MATCH}. {HELP}",
    ),
    ("affinity", f"1 node(s) didn't match pod anti-affinity rules, 8 {MATCH}. {HELP}"),
    ("affinity", f"1 node(s) didn't match pod affinity rules, 8 {MATCH}. {HELP}"),
    ("affinity", f"1 node(s) didn't satisfy existing pods anti-affinity rules, 8 {MATCH}. {HELP}"),
    ("node-ports", f"1 node(s) didn't have free ports for the requested pod ports, 8 {MATCH}. {HELP}"),
    ("node-pods", f"1 Too many pods, 8 {MATCH}. {VICTIMS}"),
    ("node-device", f"1 Insufficient hugepages-2Mi, 8 {MATCH}. {VICTIMS}"),
    ("claims", f"1 cannot allocate all claims, 8 {MATCH}. still not schedulable, {HELP}"),
    ("scheduler", f"1 node(s) had a reason that is yet to be written, 8 {MATCH}. {HELP}"),
    ("scheduler", "something that counts no nodes."),
]


def pending(text: str, *evidence: Evidence) -> FleetState:
    event = Evidence("event", f"Pod/{POD}", "FailedScheduling", text, 7, NOW - 12)
    one = Replica(POD, "Pending", NOW - 60, detail=text)
    return FleetState("shop", "kubernetes/ml", NOW, wanted=1, replicas=(one,), evidence=(event, *evidence))


@pytest.mark.parametrize(("rule", "said"), SENTENCES)
def test_the_clause_of_the_nodes_that_could_matter(rule: str, said: str) -> None:
    text = f"0/9 nodes are available: {said}"
    (found,) = why(pending(text), NOW)
    assert found.rule == f"why-{rule}"
    assert text in found.why, "all that the scheduler says is shown"
    assert "{" not in found.what


def test_clauses() -> None:
    text = (
        f"0/9 nodes are available: 2 node(s) had untolerated taint {{a: b}}, 7 Insufficient "
        f"nvidia.com/gpu. {VICTIMS}"
    )
    assert clauses(text) == (
        Clause(2, "node(s) had untolerated taint {a: b}"),
        Clause(7, "Insufficient nvidia.com/gpu"),
    )
    assert clauses("0/1 nodes are available: 1 node(s) were unschedulable.") == (
        Clause(1, "node(s) were unschedulable"),
    )
    assert clauses("pod has unbound immediate PersistentVolumeClaims") == ()
    assert judged("anything else") == "anything else"


def test_a_node_without_a_gpu_is_no_taken_gpu() -> None:
    """Where no label chooses them, nodes without a GPU say that it is insufficient: those that do not say so
    have one."""
    text = f"0/9 nodes are available: 2 Insufficient cpu, 7 Insufficient nvidia.com/gpu. {VICTIMS}"
    (found,) = why(pending(text), NOW)
    assert found.rule == "why-node-cpu"


EXACT = [
    (
        "no-accelerator",
        "NoSuchNode",
        "the label acme/x=y; there are: no node with it",
        "no node has the label acme/x=y",
    ),
    (
        "too-large",
        "NodesTooSmall",
        "8 nvidia.com/gpu asked for, 4 on the largest",
        "no node is large enough: 8 nvidia.com/gpu asked for, 4",
    ),
    (
        "no-device",
        "NodesWithoutDevice",
        "nvidia.com/gpu on l4-0, l4-1",
        "the nodes that it could run on (l4-0, l4-1) offer no nvidia.com/gpu",
    ),
    ("cordoned", "NodesCordoned", "l4-0, l4-1", "are cordoned: l4-0, l4-1"),
    (
        "nodes-not-ready",
        "NodesNotReady",
        "l4-0: Kubelet stopped posting node status.",
        "are not ready: l4-0: Kubelet stopped",
    ),
    ("taint", "NodesTainted", "l4-0 had untolerated taint {dedicated: ml}", "the nodes' taint dedicated"),
]


@pytest.mark.parametrize(("rule", "reason", "text", "said"), EXACT)
def test_what_the_nodes_show_goes_before_the_schedulers_count(
    rule: str, reason: str, text: str, said: str
) -> None:
    counted = f"0/9 nodes are available: 2 node(s) had untolerated taint(s), 7 {MATCH}. {HELP}"
    (found,) = why(pending(counted, Evidence("condition", f"Pod/{POD}", reason, text)), NOW)
    assert found.rule == f"why-{rule}"
    assert said in found.what


def test_nodes_that_are_out_beside_those_that_are_taken() -> None:
    out = Evidence("condition", f"Pod/{POD}", "SomeNodesCordoned", "l4-2")
    text = f"0/9 nodes are available: 1 node(s) were unschedulable, 7 Insufficient nvidia.com/gpu. {VICTIMS}"
    assert [one.rule for one in why(pending(text, out), NOW)] == ["why-gpu-taken", "why-nodes-out"]


def test_a_node_on_its_way_is_waited_for_whatever_is_there_now() -> None:
    coming = Evidence("event", f"Pod/{POD}", "TriggeredScaleUp", "pod triggered scale-up", 1, NOW - 5)
    none = Evidence("condition", f"Pod/{POD}", "NoSuchNode", "the label acme/x=y; there are: no node with it")
    (found,) = why(pending(f"0/9 nodes are available: 9 {MATCH}. {HELP}", coming, none), NOW)
    assert (found.rule, found.severity) == ("why-gpu-coming", "note")


def test_what_was_said_before_is_over() -> None:
    """Events stay for an hour: nodes that were cordoned are none that are, once the scheduler says something
    else."""
    before = f"0/9 nodes are available: 9 node(s) were unschedulable. {HELP}"
    old = Evidence("event", f"Pod/{POD}", "FailedScheduling", before, 40, NOW - 90)
    state = pending(f"0/9 nodes are available: 9 Insufficient nvidia.com/gpu. {VICTIMS}")
    found = why(replace(state, evidence=(old, *state.evidence)), NOW)
    assert [one.rule for one in found] == ["why-gpu-taken"]


def test_a_gate() -> None:
    one = Replica(POD, "Pending", NOW - 60)
    gate = Evidence(
        "condition",
        f"Pod/{POD}",
        "SchedulingGated",
        "Scheduling is blocked due to non-empty scheduling gates",
    )
    (found,) = why(FleetState("shop", "kubernetes/ml", NOW, wanted=1, replicas=(one,), evidence=(gate,)), NOW)
    assert found.rule == "why-gated"


def test_the_copy_and_the_gateway_wait_for_nodes_too() -> None:
    text = f"0/9 nodes are available: 9 Insufficient memory. {VICTIMS}"
    copy = Service("weights", "Loading", NOW - 60, detail=f"the copy waits for a node: {text}")
    (found,) = why(FleetState("shop", "kubernetes/ml", NOW, services=(copy,)), NOW)
    assert found.rule == "why-node-memory"
    event = Evidence("event", "Pod/shop-gateway-6f-x", "FailedScheduling", text, 1, NOW - 5)
    late = Service("gateway", "Starting", NOW - 60, detail="0 of 2 ready")
    ready = Replica(POD, "Ready", NOW - 60)
    (found,) = why(
        FleetState(
            "shop", "kubernetes/ml", NOW, wanted=1, replicas=(ready,), services=(late,), evidence=(event,)
        ),
        NOW,
    )
    assert found.rule == "why-node-memory"
