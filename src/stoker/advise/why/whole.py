"""What is wrong with a fleet and with no replica of it: nobody keeps its state, or its newest change was
stopped."""

from dataclasses import replace

from stoker.catalog.rules import rule
from stoker.findings import Finding
from stoker.fleet.state import FleetState, Stopped
from stoker.units import Seconds


def of_the_fleet(state: FleetState, now: float) -> list[Finding]:
    """Findings about the whole of it; none where all is well."""
    out = []
    if state.trouble:
        out.append(rule("why-trouble").finding(trouble=state.trouble))
    if state.stopped is not None:
        out.append(_stopped(state.stopped, now))
    return out


def _stopped(one: Stopped, now: float) -> Finding:
    """That a change was stopped, by the rule of the death which stopped it: its fix comes first."""
    ago = Seconds(round(max(0.0, now - one.since)))
    found = rule("why-stopped").finding(
        one.log or "",
        revision=one.revision,
        serving=one.serving,
        ago=ago,
        subject=one.subject,
        words=one.last_error,
    )
    if one.cause is None:
        return found
    why = "\n".join(filter(None, [found.why, one.cause.why]))
    fix = "\n".join(filter(None, [one.cause.fix, found.fix]))
    return replace(found, why=why, fix=fix, rule=one.cause.rule)
