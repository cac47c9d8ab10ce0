"""`stoker why`: why it is not as it should be."""

from pathlib import Path

import click

from stoker.advise.why import why
from stoker.cli.common import FleetOptions, fleet_options, output_option
from stoker.cli.fleets import chosen_name, find_fleet, on_this_machine
from stoker.cli.printing import print_findings, printable, tell_last
from stoker.errors import UsageError
from stoker.operate.last_try import causes, or_last
from stoker.operate.local_fleet import connect
from stoker.system import clock, reading
from stoker.system.reading import Unreadable
from stoker.ui.findings import explained, of_a_log

MOST_OF_A_LOG = 256 << 20  # bytes, from its end


@click.command("why")
@fleet_options
@click.option(
    "--log",
    metavar="FILE",
    help="A log of vLLM, of whatever engine, in place of a fleet; - is the standard input.",
)
@output_option("text", "json", "sarif")
def command(which: FleetOptions, log: str | None, output: str) -> None:
    """Explains why a fleet is not ready: one cause, what shows it, one fix; several are ranked.

    Of a fleet that did not come up it tells why the last try failed, until `down` or the next `up`.

    With --log it explains a log that somebody hands over: no fleet and no spec are needed. Prefixes of
    Docker, compose, kubectl and collectors may stay, and events of kubectl may stand in it. What may only
    follow from a cause is a note behind it.
    """
    if log is not None:
        return _log(which, log, output)
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


def _log(which: FleetOptions, file: str, output: str) -> None:
    """Why an engine ended that is none of a fleet's. Raises: UsageError."""
    if which != FleetOptions():
        raise UsageError(
            "a log and a fleet are given",
            why="a log is explained without one",
            fix="leave --name, -f, --target and -n out",
            rule="why-log",
        )
    from stoker.advise.why.reported import reported

    name = "stdin" if file == "-" else file
    try:
        found = reported(reading.lines(Path(file), MOST_OF_A_LOG), name)
    except Unreadable as error:
        raise UsageError(
            f"{file} cannot be read", why=error.why, fix=error.fix, rule="why-log-file"
        ) from None
    return print_findings(found, output, lambda one: printable(of_a_log(one)))
