"""What starts measured: read out of the engines' logs, set beside the plan, and kept for the next plan."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stoker.events import Event, Report
from stoker.planner import reality
from stoker.planner.plan import Plan
from stoker.planner.startup import startup
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
        spent = seconds(Path(replica.log), replica.started, replica.since)
        if spent:
            report(Event("start-up", told(replace(plan, measured=of(plan)), spent)))
        keep(plan, log, spent)
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
    for line in _lines(file):
        log = log.feed(line)
    return log


def seconds(file: Path, began: float, ready: float) -> dict[str, float]:
    """What a start spent, by the phases of the plan's budget; nothing where its log has no stamps.

    began, ready: when its process was started, and when it had answered its first requests (epoch).
    """
    from stoker.engine.start_phases import start_phases

    day = time.localtime(began)
    found = start_phases(_lines(file), 3600 * day.tm_hour + 60 * day.tm_min + day.tm_sec + began % 1)
    if "imports" not in found:
        return {}
    start = sum(found.get(name, 0.0) for name in ("imports", "engine core", "worker"))
    rest = max(0.0, ready - began - start - found.get("load", 0.0))
    return {"start": round(start, 1), "load": found.get("load", 0.0), "warm-up": round(rest, 1)}


def told(plan: Plan, spent: dict[str, float]) -> str:
    """What a start took beside what was planned for it."""
    planned = [one for one in startup(plan) if one.name in spent]
    each = ", ".join(f"{name} {spent[name]:.0f}" for name in spent)
    return f"{sum(spent.values()):.0f} s of {sum(one.seconds for one in planned):.0f} planned: {each}"


def _lines(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            return opened.read(READ).decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def keep(plan: Plan, log: "StartLog", spent: dict[str, float] | None = None) -> None:
    """Keeps the figures of a start, by model, hardware, release and options."""
    file = paths.measured()
    paths.private(file.parent)
    with locked(file.with_suffix(".lock")):
        kept: dict[str, Any] = read_json(file) or {}
        sizes = {name: value for name, value in asdict(log).items() if name not in ("phase", "detail")}
        told = {"start": spent} if spent else {}
        kept[reality.key(plan)] = {"date": time.strftime("%Y-%m-%d"), **sizes, **told}
        write_json(file, kept)


def of(plan: Plan) -> dict[str, Any] | None:
    """What was measured at the last start of this plan; None where it was never started here."""
    if plan.shape is None:
        return None
    kept: dict[str, Any] = read_json(paths.measured()) or {}
    found: dict[str, Any] | None = kept.get(reality.key(plan))
    return found
