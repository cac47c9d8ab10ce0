"""`stoker why`: why it is not as it should be."""

import click

from stoker.advise.why import why
from stoker.cli.common import fleet_options, output_option
from stoker.cli.fleets import find_fleet
from stoker.cli.printing import print_findings
from stoker.system import clock
from stoker.ui.findings import explained


@click.command("why")
@fleet_options
@output_option("text", "json", "sarif")
def command(
    file: str | None, name: str | None, target: str | None, namespace: str | None, output: str
) -> None:
    """Explains what holds a fleet up: one cause, what shows it, one fix; several are ranked."""
    fleet = find_fleet(name, file, target, namespace, looking=True)
    state = fleet.status()
    found = why(state, clock.now())
    if not found and output == "text":
        click.echo(f"{state.name}: nothing is wrong, {state.ready} of {state.wanted} replicas are ready")
    print_findings(found, output, lambda one: explained(one, state.name))
