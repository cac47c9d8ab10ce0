"""`stoker why`: why it is not as it should be."""

import time

import click

from stoker.advise.why import why
from stoker.cli.common import chosen_name, cluster_fleet, fleet_options, output_option, print_json
from stoker.operate.fleet import connect


@click.command("why")
@fleet_options
@output_option("text", "json")
def command(
    file: str | None, name: str | None, target: str | None, namespace: str | None, output: str
) -> None:
    """Explains what holds a fleet up: one cause, what shows it, one fix; several are ranked."""
    fleet = cluster_fleet(name, file, target, namespace) or connect(chosen_name(name, file))
    state = fleet.status()
    found = why(state, time.time())
    if output == "json":
        print_json(list(found))
        return
    if not found:
        click.echo(f"{state.name}: nothing is wrong, {state.ready} of {state.wanted} replicas are ready")
    for finding in found:
        what, _, cause = finding.what.rpartition(": ")
        click.echo(f"{state.name}: {what or finding.what}")
        click.echo(f"  cause  {cause}" if what else "")
        for label, text in (("seen", finding.why), ("fix", finding.fix)):
            click.echo(f"  {label:<5}  {text}")
