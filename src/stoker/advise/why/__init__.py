"""Why a fleet is not as it was asked to be: its state in, findings out, the likeliest cause first."""

from dataclasses import replace

from stoker.advise.why.rules import RULES, Rule
from stoker.engine.last_words import explained
from stoker.findings import Finding
from stoker.fleet.state import FleetState, Replica, Sign
from stoker.units import Seconds

RECENT = 1800.0  # seconds in which an event still explains something
LOSSES = frozenset(
    {"Evicted", "Preempted", "TaintManagerEviction", "NodeNotReady"}
)  # told of pods that are gone
SCHEDULING = frozenset(
    {"FailedScheduling", "NotTriggerScaleUp", "TriggeredScaleUp", "FailedScaleUp"}
)  # over once it stands


def why(state: FleetState, now: float) -> tuple[Finding, ...]:
    """One finding a cause, with its evidence in `why` and one fix; empty where all is well."""
    found: dict[str, tuple[int, Finding]] = {}
    for rank, rule, sign in _matches(state, now):
        finding = rule.finding(sign, _subject(state, sign, now), _seen(sign, now))
        if rule.name == "engine" and (known := explained(sign.text)) is not None:
            finding = replace(finding, fix=known.fix)
        if rule.name not in found:
            found[rule.name] = rank, finding
    ranked = [finding for _, finding in sorted(found.values(), key=lambda pair: pair[0])]
    return (*_of_the_fleet(state, now), *(ranked or _unexplained(state, now)))


def _of_the_fleet(state: FleetState, now: float) -> list[Finding]:
    """What is wrong with no replica: nobody keeps the fleet's state, or its newest change was stopped."""
    out = []
    if state.trouble:
        fix = (
            "free space, or the right to write there; it goes on by itself then. `stoker down` works without"
        )
        out.append(Finding(f"fleet: {state.trouble}", "requests are served meanwhile, as far as replicas run", fix, rule="why-trouble"))  # fmt: skip
    if (stopped := state.stopped) is not None:
        known = explained(stopped.last_words)
        ago = Seconds(round(max(0.0, now - stopped.since)))
        fix = "then `stoker up` tries the change again; `stoker rollback` drops it"
        out.append(
            Finding(
                f"revision {stopped.revision}: it was stopped {ago} ago, and revision {stopped.serving} serves on",
                f"{stopped.subject} failed: {stopped.last_words}", f"{known.fix}\n{fix}" if known and known.fix else fix,
                stopped.log or "", rule="why-stopped",
            )
        )  # fmt: skip
    return out


def _matches(state: FleetState, now: float) -> list[tuple[int, Rule, Sign]]:
    signs = [*_own_signs(state), *(sign for sign in state.signs if _tells(state, sign, now))]
    out = []
    for sign in signs:
        for rank, rule in enumerate(RULES):
            if rule.fits(sign, signs):
                out.append((rank, rule, sign))
                break
    return out


def _own_signs(state: FleetState) -> list[Sign]:
    """What replicas and stages say of themselves."""
    out = []
    rolling = any(not one.current and one.phase == "Ready" for one in state.replicas)
    for replica in state.replicas:
        if replica.phase == "Ready":
            continue
        if rolling and replica.current and replica.phase == "Pending":
            out.append(Sign("log", f"replica {replica.name}", "PendingRollout", replica.detail, 1, state.at))
        text = " ".join(part for part in (replica.detail, replica.last_words) if part)
        if text:
            out.append(
                Sign("log", f"replica {replica.name}", replica.phase, text, replica.restarts or 1, state.at)
            )
    for service in state.services:
        if service.phase == "Failed" or service.detail:
            text = service.last_words or service.detail
            out.append(Sign("log", service.role, service.phase, text, 1, state.at))
    return out


def _tells(state: FleetState, sign: Sign, now: float) -> bool:
    """Whether an event may still be the reason: it is recent, and not of a pod that is ready or gone."""
    if sign.last_seen and now - sign.last_seen > RECENT:
        return False
    kind, _, name = sign.subject.partition("/")
    settled = state.ready >= state.wanted and all(one.current for one in state.replicas)
    if kind != "Pod":
        return sign.source != "event" or not settled
    replica = next((one for one in state.replicas if _about(sign, one)), None)
    if replica is None:  # a pod that is gone, or the one that copies
        copy = state.service("weights")
        if "-copy-" in name:
            return copy is not None and copy.phase != "Ready"
        return sign.reason in LOSSES and not settled
    if sign.reason in SCHEDULING:
        return replica.phase == "Pending"
    return replica.phase != "Ready"


def _subject(state: FleetState, sign: Sign, now: float) -> str:
    """Whom it holds up, and for how long."""
    waiting = [one for one in state.replicas if one.phase != "Ready"]
    named = next((one for one in waiting if _about(sign, one)), waiting[0] if len(waiting) == 1 else None)
    return _held(named, now) if named else sign.subject


def _about(sign: Sign, replica: Replica) -> bool:
    """Whether a sign is of a replica: `replica 1`, `Pod/shop-1`, or `Pod/shop-1-2`, a rank of it."""
    name = sign.subject.removeprefix("replica ").removeprefix("Pod/")
    return name == replica.name or name.startswith(f"{replica.name}-")


def _held(replica: Replica, now: float) -> str:
    return (
        f"replica {replica.name} has been {replica.phase} for {Seconds(round(max(0.0, now - replica.since)))}"
    )


def _seen(sign: Sign, now: float) -> str:
    times = f" x{sign.count}" if sign.count > 1 else ""
    ago = f", {Seconds(round(max(0.0, now - sign.last_seen)))} ago" if sign.last_seen else ""
    return f"{sign.subject}: {sign.reason}: {sign.text}{times}{ago}"


def _unexplained(state: FleetState, now: float) -> list[Finding]:
    """What is not ready without a known cause, with what is known of it."""
    out = []
    for replica in state.replicas:
        if replica.phase not in ("Ready", "Draining"):
            seen = (
                "; ".join(sign.text for sign in state.signs[-2:])
                or replica.detail
                or "nothing is said of it yet"
            )
            fix = f"`stoker logs {replica.name}` shows what it does"
            out.append(Finding(_held(replica, now), seen, fix, severity="warning", rule="why-unknown"))
    return out
