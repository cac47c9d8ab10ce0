"""`stoker restart`."""

import click

from stoker.cli.common import FleetOptions, fleet_options, output_option, timeout_option
from stoker.cli.conflicts import change, conflict_options
from stoker.operate.fleet import Conflicts
from stoker.units import Seconds


@click.command("restart")
@fleet_options
@conflict_options
@timeout_option("all are replaced")
@output_option("text", "json")
def command(
    which: FleetOptions,
    held: Conflicts,
    timeout: Seconds | None,
    output: str,
) -> None:
    """Replaces every replica, one after another, without losing a request."""
    change(which, held, output, lambda fleet, report: fleet.restart(report, timeout))
