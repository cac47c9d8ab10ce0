"""`stoker logs`: what the processes say."""

import json

import click

from stoker.cli.common import FleetOptions, gathered, output_option
from stoker.cli.fleets import chosen_name, find_fleet, on_this_machine
from stoker.cli.printing import plain, printable, tell_last
from stoker.operate.fleet import Fleet
from stoker.operate.last_try import or_last
from stoker.operate.local_fleet import LocalFleet, connect
from stoker.targets.local.last_try import newest

ABOUT = "(cluster)"  # whose lines are no process's: that the cluster does not answer for a while


@click.command("logs")
@click.argument("replica", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come.")
@click.option("-p", "--previous", is_flag=True, help="The life before: what it said until it ended.")
@click.option("--file", "file", metavar="FILE", help="The spec that names the fleet.")
@click.option("--name", help="The fleet. Default: the only one that runs.")
@click.option("--target", type=click.Choice(["local", "kubernetes"]), help="Where it runs, over the file.")
@click.option("-n", "--namespace", help="Namespace, on a cluster.")
@output_option("text", "json")
@gathered(FleetOptions, "which")
def command(
    replica: str | None,
    follow: bool,
    previous: bool,
    which: FleetOptions,
    output: str,
) -> None:
    """Prints the logs of all processes, or of one: REPLICA is its number (a pod's name, in a cluster),
    `gateway`, `page` or `supervisor`.

    A process that was started again has a log of each life; --previous shows the one before, as the crash
    left it. Of a fleet that did not come up, the logs of its last try are there, until the next ones take
    their place.

    -o json prints one object a line, as it comes: the process it is of, and the text.
    """
    if follow and previous:
        raise click.UsageError("--previous is of a life that is over: nothing of it can be followed.")
    if on_this_machine(which, looking=True):
        fleet: Fleet = _local(chosen_name(which, looking=True))
    else:
        fleet = find_fleet(which, looking=True)
    for line in fleet.logs(replica, follow, previous):
        if line.source == ABOUT:
            click.echo(printable(line.text), err=True)
            continue
        if output == "json":
            click.echo(json.dumps(plain(line)))
            continue
        text = printable(line.text)
        click.echo(text if replica else f"{click.style(f'{line.source:>10}', fg='cyan')} | {text}")


def _local(name: str | None) -> LocalFleet:
    """The fleet of that name, or the only one; where none runs, what is left of the last try."""
    if name is None:
        running, last = or_last(lambda: connect(None), None)
    else:
        running = LocalFleet(name)
        last = None if running.stands else newest(name)
    if last is not None:
        tell_last(last, err=True)
    return running if running is not None else LocalFleet(last.name if last else "")
