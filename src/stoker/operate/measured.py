"""What starts measured: read out of the engines' logs, set beside the plan, and kept for the next plan."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stoker.events import Event, Report
from stoker.planner import reality
from stoker.planner.plan import Plan
from stoker.system import paths
from stoker.system.files import locked, read_json, write_json

if TYPE_CHECKING:  # a plan reads what was measured, and no log
    from stoker.engine.log import StartLog
    from stoker.fleet.state import FleetState

READ = 4 << 20  # bytes of a log in which a start is told


def after_start(plan: Plan, state: "FleetState", since: float, report: Report) -> None:
    """Compares replicas that were started after `since` with the plan, says what differs, and keeps the
    figures."""
    if plan.fit is None or plan.shape is None:
        return
    for replica in state.replicas:
        if replica.log is None or replica.phase != "Ready" or replica.started < since:
            continue
        log = started(Path(replica.log))
        found = reality.compared(plan, log)
        if not found:
            continue
        keep(plan, log)
        outside = [one for one in found if not one.within]
        for one in outside:
            report(Event("plan", f"{one}: outside the band; the next plan says what was measured", "warn"))
        if not outside:
            main = [one for one in found if one.name in ("KV cache", "tokens")] or list(found)
            report(Event("plan", ", ".join(map(str, main))))
        return


def started(file: Path) -> "StartLog":
    """What a log says of its start."""
    from stoker.engine.log import StartLog

    log = StartLog()
    try:
        with file.open("rb") as opened:
            text = opened.read(READ).decode("utf-8", "replace")
    except OSError:
        return log
    for line in text.splitlines():
        log = log.feed(line)
    return log


def keep(plan: Plan, log: "StartLog") -> None:
    """Keeps the figures of a start, by model, hardware, release and options."""
    file = paths.measured()
    paths.private(file.parent)
    with locked(file.with_suffix(".lock")):
        kept: dict[str, Any] = read_json(file) or {}
        sizes = {name: value for name, value in asdict(log).items() if name not in ("phase", "detail")}
        kept[reality.key(plan)] = {"date": time.strftime("%Y-%m-%d"), **sizes}
        write_json(file, kept)


def of(plan: Plan) -> dict[str, Any] | None:
    """What was measured at the last start of this plan; None where it was never started here."""
    if plan.shape is None:
        return None
    kept: dict[str, Any] = read_json(paths.measured()) or {}
    found: dict[str, Any] | None = kept.get(reality.key(plan))
    return found
