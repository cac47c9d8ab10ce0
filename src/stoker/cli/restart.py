"""`stoker restart`."""

import click

from stoker.cli.common import chosen_name, cluster_fleet, fleet_options
from stoker.operate.fleet import START_TIMEOUT, connect
from stoker.ui.terminal import Story


@click.command("restart")
@fleet_options
@click.option(
    "--timeout", type=float, default=START_TIMEOUT, metavar="SECONDS", help="Deadline until all are replaced."
)
def command(
    file: str | None, name: str | None, target: str | None, namespace: str | None, timeout: float
) -> None:
    """Replaces every replica, one after another, without losing a request."""
    story = Story()
    fleet = cluster_fleet(name, file, target, namespace) or connect(chosen_name(name, file))
    state = fleet.restart(story, timeout)
    story.done()
    click.echo(f"{fleet.name}: {state.ready} of {state.wanted} replicas ready")
