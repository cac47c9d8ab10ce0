"""What is wrong with a fleet and with no replica of it: nobody keeps its state, or its newest change was
stopped."""

from stoker.engine.last_error import explained
from stoker.findings import Finding
from stoker.fleet.state import FleetState, Stopped
from stoker.units import Seconds


def of_the_fleet(state: FleetState, now: float) -> list[Finding]:
    """Findings about the whole of it; none where all is well."""
    out = []
    if state.trouble:
        fix = (
            "free space, or the right to write there: it goes on by itself then. `stoker down` works without"
        )
        why = "requests are served meanwhile, as far as replicas run"
        out.append(Finding(f"fleet: {state.trouble}", why, fix, rule="why-trouble"))
    if state.stopped is not None:
        out.append(_stopped(state.stopped, now))
    return out


def _stopped(one: Stopped, now: float) -> Finding:
    known = explained(one.last_error)
    fixes = [
        known.fix if known else "",
        "then `stoker up` tries the change again; `stoker rollback` drops it",
    ]
    ago = Seconds(round(max(0.0, now - one.since)))
    return Finding(
        f"revision {one.revision}: it was stopped {ago} ago, and revision {one.serving} serves on",
        f"{one.subject} failed: {one.last_error}",
        "\n".join(filter(None, fixes)),
        one.log or "",
        rule="why-stopped",
    )
