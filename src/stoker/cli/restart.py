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
from stoker.operate.fleet import connect
from stoker.ui.terminal import Story
from stoker.units import Seconds


@click.command("restart")
@fleet_options
@timeout_option("all are replaced")
@output_option("text", "json")
def command(
    file: str | None, name: str | None, target: str | None, namespace: str | None, timeout: Seconds | None, output: str,
) -> None:  # fmt: skip
    """Replaces every replica, one after another, without losing a request."""
    story = Story()
    fleet = cluster_fleet(name, file, target, namespace) or connect(chosen_name(name, file))
    state = fleet.restart(story, timeout)
    story.done()
    print_fleet(state, output)
