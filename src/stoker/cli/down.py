"""`stoker down`: drain and stop."""

import click

from stoker.cli.common import chosen_name, fleet_options
from stoker.operate.fleet import Fleet, connect
from stoker.targets.local.target import names
from stoker.ui.terminal import Story


@click.command("down")
@fleet_options
@click.option("-A", "--all", "every", is_flag=True, help="All fleets of this machine.")
@click.option("--now", is_flag=True, help="Cut requests in progress instead of waiting for them.")
def command(file: str | None, name: str | None, every: bool, now: bool) -> None:
    """Drains and stops a fleet: requests in progress finish first (`drain_timeout`)."""
    story = Story()
    wanted = [Fleet(n) for n in names()] if every else [connect(chosen_name(name, file))]
    for fleet in wanted:
        fleet.down(story, now=now)
        story.done()
        click.echo(f"{fleet.name} is down")
    if not wanted:
        click.echo("no fleet runs on this machine")
