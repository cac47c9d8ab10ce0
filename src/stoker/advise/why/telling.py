"""Which signs may still be the reason for a state, and what is said where none is known."""

import re

from stoker.catalog.rules import rule
from stoker.findings import Finding
from stoker.fleet.state import Evidence, FleetState, Replica, Service
from stoker.units import Seconds

RECENT = 1800.0  # seconds in which an event still explains something
LOSSES = re.compile(
    r"Evicted|Preempted|TaintManagerEviction|NodeNotReady"
    r"|UnexpectedAdmissionError|OutOf\S+|NodeAffinity|NodePorts"
)  # told of pods that are gone
SCHEDULING = frozenset(
    {"FailedScheduling", "NotTriggerScaleUp", "TriggeredScaleUp", "FailedScaleUp", "SchedulingGated"}
)  # over once it stands
TRIED = frozenset({"FailedScheduling", "NotTriggerScaleUp", "FailedCreate"})
WEIGHTS = ("weights", "snapshot", "claim")
VOLUMES = ("Job", "PersistentVolumeClaim", "VolumeSnapshot")
# Of a workload's conditions, the one that says most first.
TELLING = (
    "FailedCreate",
    "ReplicaSetCreateError",
    "ProgressDeadlineExceeded",
    "GroupsProgressing",
    "MinimumReplicasUnavailable",
)


def tells(state: FleetState, piece: Evidence, now: float) -> bool:
    """Whether a sign may still be the reason: it is recent, and of nothing that is ready or gone."""
    if piece.last_seen and now - piece.last_seen > RECENT:
        return False
    kind, _, name = piece.subject.partition("/")
    settled = state.ready >= state.wanted and all(one.current for one in state.replicas)
    if (service := _service(state, name)) is not None:
        return service.phase != "Ready"
    if kind in VOLUMES:
        waits = any(one.phase != "Ready" for one in state.services if one.role in WEIGHTS)
        return piece.source != "event" or waits or not settled
    if kind != "Pod":
        return piece.source != "event" or not settled
    replica = next((one for one in state.replicas if about(piece, one)), None)
    if replica is None:  # a pod that is gone
        return LOSSES.fullmatch(piece.reason) is not None and not settled
    if piece.reason in SCHEDULING:
        return replica.phase == "Pending"
    return replica.phase != "Ready"


def newest(evidence: list[Evidence]) -> list[Evidence]:
    """Without what an object said before it said something else: of a try that is made again and again, the
    last counts."""
    last = {(one.subject, one.reason): one for one in sorted(evidence, key=lambda one: one.last_seen)}
    return [one for one in evidence if one.reason not in TRIED or last[one.subject, one.reason] is one]


def _service(state: FleetState, name: str) -> Service | None:
    """What stands beside the replicas, where an object is of it: a copy's pods, the gateway's ReplicaSet."""
    if "-copy-" in name or name.endswith("-copy"):
        return state.service("weights")
    return next((one for one in state.services if f"{name}-".startswith(f"{state.name}-{one.role}-")), None)


def about(piece: Evidence, replica: Replica) -> bool:
    """Whether a sign is of a replica: `replica 1`, `Pod/shop-1`, or `Pod/shop-1-2`, a rank of it."""
    name = piece.subject.removeprefix("replica ").removeprefix("Pod/")
    return name == replica.name or name.startswith(f"{replica.name}-")


def held(replica: Replica, now: float) -> str:
    """Whom it holds up, and for how long."""
    return f"replica {replica.name} has been {replica.phase} for {_ago(replica.since, now)}"


def unexplained(state: FleetState, now: float) -> list[Finding]:
    """What is not ready without a known cause, with what is known of it: never nothing, while something is
    missing."""
    late = _late_ones(state)
    out = [_late(state, one, now) for one in late]
    out += missing(state, now)
    out += [_unready(one, now) for one in state.services if one.phase != "Ready"]
    return out


def _late(state: FleetState, replica: Replica, now: float) -> Finding:
    own = [piece.text for piece in state.evidence if about(piece, replica)]
    seen = "; ".join(own[-2:] or [piece.text for piece in state.evidence[-2:]]) or replica.detail
    return _unknown(held(replica, now), seen, f"`stoker logs {replica.name}` shows what it does")


def _unknown(what: str, seen: str, look: str, at: str = "") -> Finding:
    return rule("why-unknown").finding(at, what=what, seen=seen or "nothing is said of it yet", look=look)


def _late_ones(state: FleetState) -> list[Replica]:
    return [one for one in state.replicas if one.phase not in ("Ready", "Draining")]


def missing(state: FleetState, now: float) -> list[Finding]:
    """Replicas of which there is not even a pod: what the workload itself, or the newest event, says."""
    leaving = [one for one in state.replicas if one.phase == "Draining"]
    count = state.wanted - state.ready - len(_late_ones(state))
    if count <= 0 or state.stopping:
        return []
    if count <= len(leaving):
        return [rule("why-leaving").finding(replica=leaving[0].name, detail=leaving[0].detail)]
    return [_missing(state, count)]


def _missing(state: FleetState, count: int) -> Finding:
    known = [one for one in state.evidence if one.reason in TELLING and not one.subject.startswith("Pod/")]
    best = min(known, key=lambda one: TELLING.index(one.reason), default=None)
    newest = max(state.evidence, key=lambda one: one.last_seen, default=None)
    piece = best or newest
    what = f"{count} of {state.wanted} replicas {'is' if count == 1 else 'are'} not there"
    if piece is None:
        return _unknown(what, "", "wait a moment; `kubectl get events` shows what the cluster says")
    return _unknown(
        f"{what}: {piece.text or piece.reason}",
        f"{piece.subject}: {piece.reason}: {piece.text}",
        f"`kubectl describe {piece.subject}` and `kubectl get events` show more",
        piece.subject,
    )


def _unready(one: Service, now: float) -> Finding:
    what = f"{one.role} has been {one.phase} for {_ago(one.since, now)}"
    look = "`stoker status` shows how far it is, `stoker logs` what it says"
    return _unknown(what, one.last_error or one.detail, look)


def _ago(since: float, now: float) -> Seconds:
    return Seconds(round(max(0.0, now - since)))
