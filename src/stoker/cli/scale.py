"""`stoker scale N`."""

import click

from stoker.cli.common import fleet_options, output_option, timeout_option
from stoker.cli.conflicts import conflict_options, conflicts
from stoker.cli.fleets import find_fleet
from stoker.cli.printing import print_fleet
from stoker.ui.terminal import ProgressPrinter
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
    file: str | None,
    name: str | None,
    target: str | None,
    namespace: str | None,
    no_rebind: bool,
    force: bool,
    over: bool,
    timeout: Seconds | None,
    output: str,
) -> None:
    """Runs so many replicas, and returns when they are ready. No request is lost on the way."""
    printer = ProgressPrinter()
    fleet = find_fleet(name, file, target, namespace)
    fleet.conflicts = conflicts(printer.done, force, over)
    try:
        state = fleet.scale(replicas, rebind=not no_rebind, report=printer, timeout=timeout)
    finally:
        printer.done()
    print_fleet(state, output)
