"""`stoker status`: what runs."""

import asyncio
import contextlib
import csv
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stoker.cli.common import Duration, FleetOptions, fleet_options, output_option
from stoker.cli.fleets import chosen_name, every_cluster, find_fleet
from stoker.cli.printing import print_json
from stoker.errors import Unreachable, UsageError
from stoker.fleet.points import COLUMNS, Point
from stoker.fleet.state import FleetState
from stoker.observe.store import kept
from stoker.operate.fleet import Fleet
from stoker.operate.local_fleet import LocalFleet
from stoker.system import clock, paths
from stoker.targets.local.known import names
from stoker.ui.board import charts, happened, text
from stoker.ui.terminal import width
from stoker.units import Seconds

if TYPE_CHECKING:
    from stoker.observe import Watcher

FRESH = 60.0  # seconds for which the last figures of the history are shown as today's
Look = Callable[[], list[FleetState]]


@click.command("status")
@fleet_options
@click.option("-w", "--watch", "watch", is_flag=True, help="Follow it: the console in a terminal.")
@click.option(
    "-A",
    "--all",
    "every",
    is_flag=True,
    help="All fleets of this machine; or of the cluster, -n: of a namespace.",
)
@click.option(
    "--since", type=Duration(), help="Its figures since then (10m, 2h; a day is kept), every 15 seconds."
)
@output_option("table", "json", "csv")
def command(
    which: FleetOptions,
    watch: bool,
    every: bool,
    since: Seconds | None,
    output: str,
) -> None:
    """Shows a fleet: its endpoint, and each replica with phase and load.

    Rates and times are over the last 10 seconds; in the figures of --since, over 15.
    """
    if every and since is not None:
        raise UsageError(
            "-A and --since are given", why="figures over time are one fleet's", fix="--name NAME --since …"
        )
    if output == "csv" and since is None:
        raise UsageError(
            "csv is for figures over time", why="a state is no table", fix="--since 10m -o csv, or -o json"
        )
    if every:
        return _follow(_every(which), watch, output)
    if since is not None and (left := _left(which)) is not None:
        return _since(left, float(since), output)
    fleet = find_fleet(which, looking=True)
    if since is not None:
        return _since(fleet.history, float(since), output)
    if watch and output == "table" and sys.stdout.isatty():
        return _board(fleet)
    return _follow(lambda: [fleet.status()], watch, output, fleet.history)


def _follow(look: Look, watch: bool, output: str, history: Path | None = None) -> None:
    """Looks once, or once a second. A cluster that is away for a while is said to be, once, and looked at
    again."""
    seen = away = False
    while True:
        try:
            states = look()
        except Unreachable as error:
            if not (watch and seen):
                raise
            if not away:
                click.echo(f"{error.finding.what}, tried again: {error.finding.why}", err=True)
            away = True
        else:
            seen, away = True, False
            _print(states, output, history)
        if not watch:
            return
        time.sleep(1)


def _print(states: list[FleetState], output: str, history: Path | None) -> None:
    if output == "json":
        print_json(states if len(states) != 1 or history is None else states[0])
    else:
        points = _latest(history)
        click.echo(
            "\n\n".join(text(state, points, columns=width()) for state in states) or "no fleet runs there"
        )


def _left(which: FleetOptions) -> Path | None:
    """Figures that a fleet of this machine has left behind, for a post-mortem; None where none has."""
    if which.target == "kubernetes":
        return None
    left = {one.parent.name: one for one in paths.fleets().glob("*/history.sqlite")}
    chosen = chosen_name(which, looking=True)
    if chosen is None and not names() and len(left) == 1:
        (chosen,) = left
    return left.get(chosen or "")


def _latest(history: Path | None) -> dict[str, Point]:
    """The newest figures of each replica, where they are not old."""
    points, _ = kept(history, clock.now() - FRESH) if history else ((), ())
    return {one.replica: one for one in points}


def _since(history: Path, seconds: float, output: str) -> None:
    points, events = kept(history, clock.now() - seconds)
    if output == "json":
        print_json(
            {
                "points": [asdict(one) for one in points],
                "events": [{"at": e.at, **asdict(e.event)} for e in events],
            }
        )
        return
    if output == "csv":
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(COLUMNS)
        out.writerows([_cell(getattr(one, column)) for column in COLUMNS] for one in points)
        return
    if not points:
        raise UsageError(
            "no figures are kept of that time",
            why="the web page beside the fleet writes them, or `stoker ui` for a cluster",
            fix="endpoint: {page: true}, or a longer --since",
            rule="no-history",
        )
    whole = [one for one in points if not one.replica]
    click.echo(
        "\n".join(
            [
                f"{len(whole)} rounds of 15 s, replicas seen: {len({one.replica for one in points}) - 1}",
                *charts(whole),
                "",
                *happened(events),
            ]
        )
    )


def _cell(value: object) -> object:
    return "" if value is None else round(value, 6) if isinstance(value, float) else value


def _board(fleet: Fleet) -> None:
    """Looks by itself, once a second, until Ctrl-C."""
    from stoker.observe import Watcher
    from stoker.ui.console.source import source_of

    fleet.status()
    source = source_of(fleet)
    watcher = Watcher(
        source.state,
        source.pages,
        interval=source.interval,
        state_every=source.state_every,
        stamp=source.stamp,
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_show(watcher))


async def _show(watcher: "Watcher") -> None:
    from rich.live import Live
    from rich.text import Text

    running = asyncio.create_task(watcher.run())
    wide = (sys.stdout.encoding or "").lower().startswith("utf")
    with Live(Text("looking"), screen=True, auto_refresh=False) as live:
        while not running.done():
            look = await watcher.news()
            lines = [watcher.why] if watcher.why else []
            if look is not None:
                points = {one.replica: one for one in look.points}
                board = text(look.state, points, look.silent, width())
                lines += [
                    board,
                    "",
                    *charts(watcher.history.points(), wide),
                    "",
                    *happened(list(watcher.history.events)),
                ]
            live.update(
                Text.from_ansi(
                    "\n".join([*lines, "", watcher.slowed or "Ctrl-C ends this; the fleet goes on"])
                ),
                refresh=True,
            )


def _every(which: FleetOptions) -> Look:
    """All fleets of this machine; of the cluster, or of one namespace of it, where the target is one."""
    spec = every_cluster(which, looking=True)
    if spec is None:
        return lambda: [LocalFleet(one).told() for one in names()]
    from stoker.operate.cluster import every_fleet

    context = spec.kubernetes.context
    return lambda: list(every_fleet(context, which.namespace))
