"""`stoker restart`."""

import click

from stoker.cli.common import fleet_options, output_option, timeout_option
from stoker.cli.conflicts import conflict_options, conflicts
from stoker.cli.fleets import find_fleet
from stoker.cli.printing import print_fleet
from stoker.ui.terminal import ProgressPrinter
from stoker.units import Seconds


@click.command("restart")
@fleet_options
@conflict_options
@timeout_option("all are replaced")
@output_option("text", "json")
def command(
    file: str | None,
    name: str | None,
    target: str | None,
    namespace: str | None,
    force: bool,
    over: bool,
    timeout: Seconds | None,
    output: str,
) -> None:
    """Replaces every replica, one after another, without losing a request."""
    printer = ProgressPrinter()
    fleet = find_fleet(name, file, target, namespace)
    fleet.conflicts = conflicts(printer.done, force, over)
    try:
        state = fleet.restart(printer, timeout)
    finally:
        printer.done()
    print_fleet(state, output)
