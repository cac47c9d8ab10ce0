"""`stoker rollback`: back to what was ready before."""

import click

from stoker.cli.common import (
    cluster_fleet,
    fleet_options,
    output_option,
    print_fleet,
    timeout_option,
)
from stoker.cli.hands import handed, hands_options
from stoker.errors import Mistake
from stoker.ui.terminal import Story
from stoker.units import Seconds


@click.command("rollback")
@fleet_options
@click.option(
    "--to",
    "number",
    type=click.IntRange(1),
    metavar="REVISION",
    help="This one, instead of the newest other.",
)
@hands_options
@timeout_option("ready")
@output_option("text", "json")
def command(
    file: str | None,
    name: str | None,
    target: str | None,
    namespace: str | None,
    number: int | None,
    force: bool,
    over: bool,
    timeout: Seconds | None,
    output: str,
) -> None:
    """Goes back to the previous revision that was ready, weights included. In a cluster; the file stays as it is.

    The number of replicas stays, too, whoever set it; they are replaced as in any rollout.
    """
    fleet = cluster_fleet(name, file, target, namespace)
    if fleet is None:
        raise Mistake(
            "a fleet on this machine keeps no revisions", why="its file is the only one there is",
            fix="change the file back, and `stoker up -y`", rule="no-revision",
        )  # fmt: skip
    story = Story()
    try:
        state = handed(fleet, story.done, force, over).rollback(number, story, timeout)
    finally:
        story.done()
    print_fleet(state, output, "; the file still says otherwise, so `stoker up` applies it again")
