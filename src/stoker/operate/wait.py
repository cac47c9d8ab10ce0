"""The one loop of every verb that changes something: compute, apply, observe, report, until nothing is
left."""

from dataclasses import replace

from stoker.advise.why import why
from stoker.errors import TimedOut, Unreachable
from stoker.events import Event, Report
from stoker.fleet.changes import Changes
from stoker.fleet.diff import events
from stoker.fleet.state import FleetState
from stoker.fleet.target import Target
from stoker.planner.plan import Plan
from stoker.system import clock

PATIENCE = 300.0  # seconds for which a cluster that answered before may be away


def limit(timeout: float | None, default: float) -> float:
    """The deadline in seconds: as given, 0 included, else the place's own."""
    return default if timeout is None else timeout


def converge(target: Target, plan: Plan | None, report: Report, timeout: float) -> FleetState:
    """Leads the target to the plan (None: down) and returns the last state.

    Level-triggered: an interrupted one resumes, and one with nothing to do returns at once. A cluster that
    has answered and is away for a while, as while its control plane is upgraded, is waited for.
    Raises: TimedOut after `timeout` seconds, saying what was waited for; what `target.changes` and
    `target.apply` raise.
    """
    deadline = clock.monotonic() + timeout
    state: FleetState | None = None
    lost: float | None = None
    while True:
        before = state
        try:
            state = target.observe()
            for event in events(before or _quiet(state), state):
                report(event)
            changes = target.changes(plan)
            if not changes.steps:
                return state if before is None else _last(target, state, report)
            target.apply(changes)
        except Unreachable as error:
            now = clock.monotonic()
            if state is None or now > min(deadline, (lost or now) + PATIENCE):
                raise
            if lost is None:
                lost = now
                report(Event("cluster", f"away, tried again: {error.finding.why}", "warn"))
        else:
            lost = None
            if clock.monotonic() > deadline:
                raise _timed_out(changes, _last(target, state, report), timeout)
        clock.sleep(target.interval)


def _last(target: Target, state: FleetState, report: Report) -> FleetState:
    """One more look: the world has gone on since the last one, which was before the steps were taken."""
    after = target.observe()
    for event in events(state, after):
        report(event)
    return after


def _quiet(state: FleetState) -> FleetState:
    """The state as if all were well: the first look tells what is not, as what already runs is no news."""
    replicas = tuple(one for one in state.replicas if one.phase == "Ready")
    services = tuple(one for one in state.services if one.phase == "Ready")
    return replace(state, replicas=replicas, services=services)


def _timed_out(changes: Changes, state: FleetState, timeout: float) -> TimedOut:
    waits = ", ".join(step.subject for step in changes.steps)
    found = why(state, clock.now())
    details = [f"{one.what} ({one.why})" if one.why else one.what for one in found]
    fixes = [one.fix for one in found if one.fix]
    return TimedOut(
        f"not done after {timeout:.0f} s: waiting for {waits}",
        why="\n".join(details) or "no phase is known",
        fix="\n".join([*fixes, "or wait on with the same command; --timeout sets the deadline"]),
    )
