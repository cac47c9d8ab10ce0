"""Why a fleet is not as it was asked to be: its state in, findings out, the likeliest cause first."""

from collections.abc import Iterator
from dataclasses import replace

from stoker.advise.why.causes import causes, told
from stoker.advise.why.rule import explained
from stoker.advise.why.scheduling import EXACT, clauses
from stoker.advise.why.telling import about, held, missing, newest, tells, unexplained
from stoker.advise.why.whole import of_the_fleet
from stoker.catalog.rules import everything
from stoker.findings import Finding
from stoker.fleet.state import Evidence, FleetState
from stoker.units import Seconds


def why(state: FleetState, now: float) -> tuple[Finding, ...]:
    """One finding a cause, with its evidence in `why` and one fix; empty where all is well."""
    found: dict[str, tuple[int, Finding]] = {}
    for rank, finding in (*_causes(state, now), *_explained(state, now)):
        found.setdefault(finding.rule, (rank, finding))
    ranked = [finding for _, finding in sorted(found.values(), key=lambda pair: pair[0])]
    whole = of_the_fleet(state, now)
    if not ranked:
        return (*whole, *unexplained(state, now))
    enough = any(one.severity != "warning" and not one.rule.startswith("why-hpa") for one in ranked)
    return (*whole, *ranked, *(() if enough else missing(state, now)))


def _causes(state: FleetState, now: float) -> Iterator[tuple[int, Finding]]:
    """What is known of those that have failed: told of whom it holds up, with what was seen."""
    for rank, cause, piece in causes(state):
        what = f"{_subject(state, piece, now)}: {cause.what}"
        evidence = "\n".join(filter(None, [_seen(piece, now), cause.why]))
        yield rank, replace(cause, what=what, why=evidence, at=cause.at or piece.subject)


def _explained(state: FleetState, now: float) -> Iterator[tuple[int, Finding]]:
    """What rules say of what the cluster shows."""
    recent = newest([piece for piece in state.evidence if tells(state, piece, now)])
    evidence = _exact([*_own_evidence(state), *recent])
    order = {id(rule): number for number, rule in enumerate(everything())}
    for piece in evidence:
        if (found := explained(piece, evidence)) is not None:
            rule, finding = found
            what = f"{_subject(state, piece, now)}: {finding.what}"
            yield order[id(rule)], replace(finding, what=what, why=_seen(piece, now))


def _exact(evidence: list[Evidence]) -> list[Evidence]:
    """Without what the nodes show where another is on its way; else without the scheduler's count where they
    do."""
    if any(one.reason == "TriggeredScaleUp" for one in evidence):
        return [one for one in evidence if one.reason not in EXACT]
    known = any(one.reason in EXACT for one in evidence)
    return [
        one for one in evidence if not (known and clauses(one.text) and one.reason != "NotTriggerScaleUp")
    ]


def _own_evidence(state: FleetState) -> list[Evidence]:
    """What replicas and stages say of themselves, that have not failed."""
    out = []
    rolling = any(not one.current and one.phase == "Ready" for one in state.replicas)
    for replica in state.replicas:
        if replica.phase == "Ready" or told(replica):
            continue
        name = f"replica {replica.name}"
        if rolling and replica.current and replica.phase == "Pending":
            out.append(Evidence("log", name, "PendingRollout", replica.detail, 1, state.at))
        if replica.detail:
            count = replica.restarts or 1
            out.append(Evidence("log", name, replica.phase, replica.detail, count, state.at))
    for service in state.services:
        if service.detail and not told(service):
            reason = "FailedScheduling" if clauses(service.detail) else service.phase
            out.append(Evidence("log", service.role, reason, service.detail, 1, state.at))
    return out


def _subject(state: FleetState, piece: Evidence, now: float) -> str:
    """Whom it holds up, and for how long."""
    waiting = [one for one in state.replicas if one.phase != "Ready"]
    named = next((one for one in waiting if about(piece, one)), waiting[0] if len(waiting) == 1 else None)
    return held(named, now) if named else piece.subject


def _seen(piece: Evidence, now: float) -> str:
    times = f" x{piece.count}" if piece.count > 1 else ""
    ago = f", {Seconds(round(max(0.0, now - piece.last_seen)))} ago" if piece.last_seen else ""
    return f"{piece.subject}: {piece.reason}: {piece.text}{times}{ago}"
