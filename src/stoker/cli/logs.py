"""`stoker logs`: what the processes say."""

import click

from stoker.cli.common import chosen_name
from stoker.operate.fleet import Fleet, connect


@click.command("logs")
@click.argument("replica", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come.")
@click.option("--file", "file", metavar="FILE", help="The spec that names the fleet.")
@click.option("--name", help="The fleet. Default: the only one that runs.")
def command(replica: str | None, follow: bool, file: str | None, name: str | None) -> None:
    """Prints the logs of all processes, or of one: REPLICA is its number, `gateway`, `page` or `supervisor`."""
    chosen = chosen_name(name, file)
    fleet = Fleet(chosen) if chosen else connect(None)
    for line in fleet.logs(replica, follow):
        click.echo(line.text if replica else f"{click.style(f'{line.source:>10}', fg='cyan')} | {line.text}")
