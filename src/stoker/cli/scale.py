"""`stoker scale N`."""

import click

from stoker.cli.common import FleetOptions, fleet_options, output_option, timeout_option
from stoker.cli.conflicts import change, conflict_options
from stoker.operate.fleet import Conflicts
from stoker.units import Seconds


@click.command("scale")
@click.argument("replicas", type=click.IntRange(0, 1000))
@fleet_options
@click.option(
    "--no-rebind",
    is_flag=True,
    help="Leave running replicas their cores, and share all of them with the new ones.",
)
@conflict_options
@timeout_option("ready")
@output_option("text", "json")
def command(
    replicas: int,
    which: FleetOptions,
    no_rebind: bool,
    held: Conflicts,
    timeout: Seconds | None,
    output: str,
) -> None:
    """Runs so many replicas, and returns when they are ready. No request is lost on the way."""
    change(
        which,
        held,
        output,
        lambda fleet, report: fleet.scale(replicas, rebind=not no_rebind, report=report, timeout=timeout),
    )
