"""`stoker rollback`: back to what was ready before."""

import click

from stoker.cli.common import fleet_options, output_option, timeout_option
from stoker.cli.conflicts import conflict_options, conflicts
from stoker.cli.fleets import find_fleet
from stoker.cli.printing import print_fleet
from stoker.ui.terminal import ProgressPrinter
from stoker.units import Seconds


@click.command("rollback")
@fleet_options
@click.option(
    "--to",
    "number",
    type=click.IntRange(1),
    metavar="REVISION",
    help="This one, instead of the newest other.",
)
@conflict_options
@timeout_option("ready")
@output_option("text", "json")
def command(
    file: str | None,
    name: str | None,
    target: str | None,
    namespace: str | None,
    number: int | None,
    force: bool,
    over: bool,
    timeout: Seconds | None,
    output: str,
) -> None:
    """Goes back to the previous revision that was ready, weights included; the number of replicas and the
    file stay.

    On this machine, where a change was stopped since it failed, this drops the change.
    """
    printer = ProgressPrinter()
    fleet = find_fleet(name, file, target, namespace)
    fleet.conflicts = conflicts(printer.done, force, over)
    try:
        state = fleet.rollback(number, printer, timeout)
    finally:
        printer.done()
    print_fleet(state, output, "; the file still says otherwise, so `stoker up` applies it again")
