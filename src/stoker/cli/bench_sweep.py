"""`stoker bench --sweep` and `--quick`: the search for the capacity."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from stoker.bench import measure, results
from stoker.bench.folder import REPORT
from stoker.bench.measure import Live, Test
from stoker.bench.notice import notice
from stoker.bench.server_watch import ServerWatch
from stoker.bench.sweep import Level, Sweep, Sweeper, to_json
from stoker.cli.printing import print_json
from stoker.errors import UsageError
from stoker.events import Progress
from stoker.traffic.arrivals import ClosedLoop, Replay
from stoker.traffic.curve import Curve
from stoker.traffic.objectives import LatencyObjectives
from stoker.ui.report import sweep_text
from stoker.ui.report.curve_page import curve_page
from stoker.ui.terminal import ProgressPrinter

QUICK = {"seconds": 6.0, "warmup": 1.5, "alone": 6.0, "repeats": 0, "budget": 48.0}
QUICK_OBJECTIVES = LatencyObjectives(ttft=2.0, itl=0.1)  # what a person who reads along bears
QUICK_SHARE = 0.95  # of the few requests of a minute


def swept(test: Test, look: Callable[[], ServerWatch], given: dict[str, Any], root: Path | None) -> int:
    """Searches, prints what was found, and returns the exit code: 1 where no level keeps the objectives."""
    arrivals = test.workload.arrivals
    if isinstance(arrivals, Replay):
        why = "a trace has its own rate"
        raise UsageError("a trace cannot be swept", why=why, fix="--speed, one test after another")
    quick = bool(given["quick"])
    if quick:
        objectives = test.objectives or QUICK_OBJECTIVES
        share = test.share if given["attainment"] else QUICK_SHARE
        test = replace(test, objectives=objectives, share=share)
    users = quick or (isinstance(arrivals, ClosedLoop) and given["users"] is not None)
    found = _run(test, look, root, "users" if users else "rate", QUICK if quick else _asked(test, given))
    _print(found, given["output"], quick, root)
    return 130 if found.interrupted else 0 if found.found.level is not None else 1


def _asked(test: Test, given: dict[str, Any]) -> dict[str, Any]:
    """How long each test is, where that was said."""
    if given["duration"] is None:
        return {}
    seconds = test.workload.duration
    return {"seconds": seconds, "warmup": test.workload.warmup, "alone": min(seconds, 10.0)}


def _run(
    test: Test, look: Callable[[], ServerWatch], root: Path | None, level: Level, how: dict[str, Any]
) -> Sweep:
    printer = ProgressPrinter()
    unit = "users" if level == "users" else "requests/s"

    with notice(test.name) as board:

        def live(at: float, told: Live) -> None:
            from stoker.cli.bench import told as words

            text = f"{at:g} {unit}: {words(told).text}"
            printer(Progress("bench", text))
            board.tell(text, None)

        try:
            printer(Progress("bench", f"asking {test.endpoint.url} what it takes"))
            return Sweeper(test, measure.probe(test), level, root, look, live, **how).run()
        finally:
            printer.done()


def _print(found: Sweep, output: str, quick: bool, root: Path | None) -> None:
    if output == "json":
        print_json(to_json(found))
    else:
        click.echo(sweep_text.in_words(found) if quick else sweep_text.text(found))
    if root is not None:
        page = root / REPORT
        curve = results.read(str(root))
        if isinstance(curve, Curve):
            with suppress(OSError):
                page.write_text(curve_page(curve), "utf-8")
        click.echo(f"kept in     {root}: {page} shows it, `stoker report {root}` tells it", err=True)
