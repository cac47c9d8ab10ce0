"""`stoker scale N`."""

import click

from stoker.cli.common import chosen_name, cluster_fleet, fleet_options
from stoker.operate.fleet import START_TIMEOUT, connect
from stoker.ui.terminal import Story


@click.command("scale")
@click.argument("replicas", type=click.IntRange(0, 1000))
@fleet_options
@click.option(
    "--no-rebind",
    is_flag=True,
    help="Leave running replicas their cores, and share all of them with the new ones.",
)
@click.option("--timeout", type=float, default=START_TIMEOUT, metavar="SECONDS", help="Deadline until ready.")
def command(
    replicas: int, file: str | None, name: str | None, target: str | None, namespace: str | None, no_rebind: bool,
    timeout: float,
) -> None:  # fmt: skip
    """Runs so many replicas, and returns when they are ready. No request is lost on the way."""
    story = Story()
    fleet = cluster_fleet(name, file, target, namespace) or connect(chosen_name(name, file))
    state = fleet.scale(replicas, rebind=not no_rebind, report=story, timeout=timeout)
    story.done()
    click.echo(f"{fleet.name}: {state.ready} of {state.wanted} replicas ready")
