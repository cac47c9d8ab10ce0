"""`stoker rollback`: back to what was ready before."""

import click

from stoker.cli.common import FleetOptions, fleet_options, output_option, timeout_option
from stoker.cli.conflicts import change, conflict_options
from stoker.operate.fleet import Conflicts
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
    which: FleetOptions,
    number: int | None,
    held: Conflicts,
    timeout: Seconds | None,
    output: str,
) -> None:
    """Goes back to the previous revision that was ready, weights included; the number of replicas and the
    file stay.

    On this machine, where a change was stopped since it failed, this drops the change.
    """
    more = "; the file still says otherwise, so `stoker up` applies it again"
    change(which, held, output, lambda fleet, report: fleet.rollback(number, report, timeout), more)
