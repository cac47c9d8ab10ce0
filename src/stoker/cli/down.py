"""`stoker down`: drain and stop."""

import sys

import click

from stoker.cli.common import FleetOptions, fleet_options, output_option
from stoker.cli.conflicts import asked
from stoker.cli.fleets import chosen_name, every_cluster, find_fleet, on_this_machine
from stoker.cli.printing import print_json
from stoker.errors import StokerError, UsageError
from stoker.operate.fleet import Conflicts, Fleet
from stoker.operate.last_try import forget, or_last
from stoker.operate.local_fleet import LocalFleet, connect
from stoker.targets.local.known import names, strays
from stoker.ui.terminal import ProgressPrinter


@click.command("down")
@fleet_options
@click.option("-A", "--all", "every", is_flag=True, help="All fleets of this machine.")
@click.option(
    "--now", is_flag=True, help="On this machine: cut requests in progress instead of waiting for them."
)
@click.option(
    "--weights", is_flag=True, help="In a cluster: delete the claims and snapshots that hold weights, too."
)
@output_option("text", "json")
def command(
    which: FleetOptions,
    every: bool,
    now: bool,
    weights: bool,
    output: str,
) -> None:
    """Drains and stops a fleet: requests in progress finish first (`drain_timeout`).

    In a cluster everything that `up` made is deleted, but the claims and snapshots that hold weights, and
    what fleets
    share: storage and snapshot classes, and the namespace. An `up` that still waits for the fleet is ended
    first; at a terminal, somebody else's after a yes.
    -o json prints the names of the fleets that were taken down.
    """
    printer = ProgressPrinter()
    if every:
        _check_all(which)
    wanted: list[Fleet] = [LocalFleet(one) for one in (*names(), *strays())] if every else []
    if every:
        forget(None)
    elif on_this_machine(which):
        wanted += _one(chosen_name(which))
    else:
        wanted.append(find_fleet(which))
    ended, failed = _each(wanted, printer, now, weights, output)
    if output == "json":
        print_json(ended)
    elif not wanted and every:
        click.echo("no fleet runs on this machine")
    if failed:
        raise failed[0]


def _one(name: str | None) -> list[Fleet]:
    """The fleet of that name, or the only one. Of one that did not come up, its last try is forgotten."""
    running, last = or_last(lambda: connect(name), name)
    if last is None:
        return [running] if running is not None else []
    forget(last.name)
    click.echo(f"{last.name} does not run; what was kept of its last try is gone", err=True)
    return []


def _each(
    fleets: list[Fleet], printer: ProgressPrinter, now: bool, weights: bool, output: str
) -> tuple[list[str], list[StokerError]]:
    """Takes each down, whatever becomes of the others: the names of those that are, and what stood in the
    way."""
    ended: list[str] = []
    failed: list[StokerError] = []
    for fleet in fleets:
        try:
            fleet.conflicts = Conflicts(take_over=not sys.stdin.isatty(), ask=asked(printer.done))
            fleet.down(printer, now=now, weights=weights)
        except StokerError as error:
            failed.append(error)
            printer.done()
            if len(fleets) > 1:
                click.echo(f"{fleet.name} is not down: {error.finding.what}", err=True)
            continue
        printer.done()
        ended.append(fleet.name)
        if output == "text":
            click.echo(f"{fleet.name} is down")
    return ended, failed


def _check_all(which: FleetOptions) -> None:
    """Raises: UsageError, where -A would be about a cluster: nobody takes down by one word what others run
    there."""
    spec = every_cluster(which)
    if spec is not None or which.namespace is not None:
        raise UsageError(
            "-A takes down the fleets of this machine, not a cluster's",
            why="others may run theirs in it",
            fix="each by its name: --target kubernetes -n NAMESPACE --name NAME; --target local -A for this "
            "machine's",
            rule="down-all",
        )
