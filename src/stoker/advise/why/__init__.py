"""Why a fleet is not as it was asked to be: its state in, findings out, the likeliest cause first."""

from dataclasses import replace

from stoker.advise.why.placing import EXACT
from stoker.advise.why.rule import Rule
from stoker.advise.why.rules import RULES
from stoker.advise.why.scheduling import clauses
from stoker.advise.why.telling import about, held, missing, newest, tells, unexplained
from stoker.advise.why.whole import of_the_fleet
from stoker.engine.last_error import explained
from stoker.findings import Finding
from stoker.fleet.state import Evidence, FleetState
from stoker.units import Seconds


def why(state: FleetState, now: float) -> tuple[Finding, ...]:
    """One finding a cause, with its evidence in `why` and one fix; empty where all is well."""
    found: dict[str, tuple[int, Finding]] = {}
    for rank, rule, piece in _matches(state, now):
        finding = rule.finding(piece, _subject(state, piece, now), _seen(piece, now))
        if rule.name == "engine" and (known := explained(piece.text)) is not None:
            finding = replace(finding, fix=known.fix)
        if rule.name == "engine" and state.service(piece.subject) is not None:
            finding = replace(
                finding, what=finding.what.replace("the engine ended", f"{piece.subject} failed")
            )
        if rule.name not in found:
            found[rule.name] = rank, finding
    ranked = [finding for _, finding in sorted(found.values(), key=lambda pair: pair[0])]
    whole = of_the_fleet(state, now)
    if not ranked:
        return (*whole, *unexplained(state, now))
    told = any(one.severity != "warning" and not one.rule.startswith("why-hpa") for one in ranked)
    return (*whole, *ranked, *(() if told else missing(state, now)))


def _matches(state: FleetState, now: float) -> list[tuple[int, Rule, Evidence]]:
    told = newest([piece for piece in state.evidence if tells(state, piece, now)])
    evidence = _exact([*_own_evidence(state), *told])
    out = []
    for piece in evidence:
        for rank, rule in enumerate(RULES):
            if rule.fits(piece, evidence):
                out.append((rank, rule, piece))
                break
    return out


def _exact(evidence: list[Evidence]) -> list[Evidence]:
    """Without what the nodes show, where another is on its way; else without the scheduler's count, where
    they show more."""
    if any(one.reason == "TriggeredScaleUp" for one in evidence):
        return [one for one in evidence if one.reason not in EXACT]
    known = any(one.reason in EXACT for one in evidence)
    return [
        one for one in evidence if not (known and clauses(one.text) and one.reason != "NotTriggerScaleUp")
    ]


def _own_evidence(state: FleetState) -> list[Evidence]:
    """What replicas and stages say of themselves."""
    out = []
    rolling = any(not one.current and one.phase == "Ready" for one in state.replicas)
    for replica in state.replicas:
        if replica.phase == "Ready":
            continue
        if rolling and replica.current and replica.phase == "Pending":
            out.append(
                Evidence("log", f"replica {replica.name}", "PendingRollout", replica.detail, 1, state.at)
            )
        text = " ".join(part for part in (replica.detail, replica.last_error) if part)
        if text:
            out.append(
                Evidence(
                    "log", f"replica {replica.name}", replica.phase, text, replica.restarts or 1, state.at
                )
            )
    for service in state.services:
        if service.phase == "Failed" or service.detail:
            text = service.last_error or service.detail
            reason = "FailedScheduling" if clauses(text) else service.phase
            out.append(Evidence("log", service.role, reason, text, 1, state.at))
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
