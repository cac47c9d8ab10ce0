"""`stoker restart`."""

import click

from stoker.cli.common import (
    chosen_name,
    cluster_fleet,
    fleet_options,
    output_option,
    print_fleet,
    timeout_option,
)
from stoker.cli.conflicts import conflict_options, handed
from stoker.operate.fleet import connect
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
    cluster = cluster_fleet(name, file, target, namespace)
    fleet = handed(cluster, printer.done, force, over) if cluster else connect(chosen_name(name, file))
    try:
        state = fleet.restart(printer, timeout)
    finally:
        printer.done()
    print_fleet(state, output)
