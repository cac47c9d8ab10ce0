"""The difference of two states as events in words: what `up` and `status -w` report.

One that was started again brings its cause along, as nobody else tells of it; of one that has failed for
good, the error of the verb that waits for it does, or `why`.
"""

from stoker.events import Event, Mark
from stoker.fleet.state import FleetState, Replica, Service
from stoker.units import Seconds

_MARKS: dict[str, Mark] = {"Ready": "ok", "Failed": "fail", "Draining": "..."}


def events(before: FleetState | None, after: FleetState) -> tuple[Event, ...]:
    """What happened between two observations of one fleet, replicas first."""
    out: list[Event] = []
    old = {(r.name, r.generation): r for r in before.replicas} if before else {}
    for replica in after.replicas:
        out += _replica(old.pop((replica.name, replica.generation), None), replica, after.at)
    out += [Event(f"replica {gone.name}", "stopped") for gone in old.values()]
    known = {s.role: s for s in before.services} if before else {}
    for service in after.services:
        out += _service(known.get(service.role), service)
    return (*out, *_fleet(before, after))


def _fleet(before: FleetState | None, after: FleetState) -> list[Event]:
    out = []
    if after.trouble and (before is None or before.trouble != after.trouble):
        out.append(Event("supervisor", after.trouble, "warn"))
    if before is not None and before.wanted != after.wanted and after.scaling is not None:
        text = f"{before.wanted} -> {after.wanted} replicas: {after.scaling.reason}"
        out.append(Event("autoscaler", text))
    stopped = after.stopped
    if stopped is not None and (before is None or before.stopped != stopped):
        text = (
            f"stopped: {stopped.subject} failed: {stopped.last_error}; revision {stopped.serving} serves on"
        )
        out.append(Event(f"revision {stopped.revision}", text, "fail"))
    return out


def _replica(before: Replica | None, after: Replica, now: float) -> list[Event]:
    subject = f"replica {after.name}"
    out: list[Event] = []
    if before and after.restarts > before.restarts:
        text = f"restarted: {after.last_error or 'it ended'}"
        out.append(Event(subject, text, "warn", finding=after.cause))
    if before is None or after.phase != before.phase or (after.detail != before.detail and after.detail):
        text = f"{after.phase}{f'  {after.detail}' if after.detail else ''}"
        took = (
            Seconds(round(max(0.0, after.since - after.started), 1))
            if before and after.phase == "Ready" and after.started
            else None
        )
        if after.phase == "Failed":
            text = f"Failed  {after.last_error or after.detail}"
        out.append(Event(subject, text, _MARKS.get(after.phase, "..."), took))
    return out


def _service(before: Service | None, after: Service) -> list[Event]:
    out: list[Event] = []
    if before and after.restarts > before.restarts:
        text = f"restarted: {after.last_error or 'it ended'}"
        out.append(Event(after.role, text, "warn", finding=after.cause))
    if after.phase == "Ready" and (before is None or before.phase != "Ready"):
        out.append(Event(after.role, f"Ready  {after.url or ''}".rstrip()))
    if after.phase == "Failed" and (before is None or before.phase != "Failed"):
        out.append(Event(after.role, f"Failed  {after.last_error or ''}".rstrip(), "fail"))
    if (
        after.detail
        and after.phase not in ("Ready", "Failed")
        and (before is None or before.detail != after.detail)
    ):
        out.append(Event(after.role, after.detail, "..."))
    return out
