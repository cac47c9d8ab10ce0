"""`stoker down`: drain and stop."""

import click

from stoker.cli.common import chosen_name, cluster_fleet, fleet_options
from stoker.operate.fleet import Fleet, connect
from stoker.targets.local.target import names
from stoker.ui.terminal import Story


@click.command("down")
@fleet_options
@click.option("-A", "--all", "every", is_flag=True, help="All fleets of this machine.")
@click.option("--now", is_flag=True, help="Cut requests in progress instead of waiting for them.")
@click.option(
    "--weights", is_flag=True, help="In a cluster: delete the claims and snapshots that hold weights, too."
)
def command(
    file: str | None,
    name: str | None,
    target: str | None,
    namespace: str | None,
    every: bool,
    now: bool,
    weights: bool,
) -> None:
    """Drains and stops a fleet: requests in progress finish first (`drain_timeout`).

    In a cluster everything that `up` made is deleted, but the claims and snapshots that hold weights.
    """
    story = Story()
    cluster = None if every else cluster_fleet(name, file, target, namespace)
    if cluster is not None:
        cluster.target.weights = weights
        cluster.down(story)
        story.done()
        click.echo(f"{cluster.name} is down")
        return
    wanted = [Fleet(n) for n in names()] if every else [connect(chosen_name(name, file))]
    for fleet in wanted:
        fleet.down(story, now=now)
        story.done()
        click.echo(f"{fleet.name} is down")
    if not wanted:
        click.echo("no fleet runs on this machine")
