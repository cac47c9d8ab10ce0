"""`stoker why`: why it is not as it should be."""

import click

from stoker.advise.why import why
from stoker.cli.common import FleetOptions, fleet_options, output_option
from stoker.cli.fleets import chosen_name, find_fleet, on_this_machine
from stoker.cli.printing import print_findings, tell_last
from stoker.operate.last_try import causes, or_last
from stoker.operate.local_fleet import connect
from stoker.system import clock
from stoker.ui.findings import explained


@click.command("why")
@fleet_options
@output_option("text", "json", "sarif")
def command(which: FleetOptions, output: str) -> None:
    """Explains why a fleet is not ready: one cause, what shows it, one fix; several are ranked.

    Of a fleet that did not come up it tells why the last try failed, until `down` or the next `up`.
    """
    if on_this_machine(which, looking=True):
        wanted = chosen_name(which, looking=True)
        running, last = or_last(lambda: connect(wanted).status(), wanted)
        if last is not None:
            tell_last(last, err=output != "text")
            return print_findings(causes(last), output, lambda one: explained(one, last.name))
    else:
        running = find_fleet(which, looking=True).status()
    assert running is not None
    state = running
    found = why(state, clock.now())
    if not found and output == "text":
        click.echo(f"{state.name}: nothing is wrong, {state.ready} of {state.wanted} replicas are ready")
    return print_findings(found, output, lambda one: explained(one, state.name))
