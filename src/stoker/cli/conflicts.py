"""Verbs that change a fleet, and what others hold of it in a cluster, fields or the whole: the options, and
the question at a terminal."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import click

from stoker.cli.common import FleetOptions, gathered
from stoker.cli.fleets import find_fleet
from stoker.cli.printing import print_fleet
from stoker.cli.signals import terminate_as_interrupt
from stoker.events import Report
from stoker.fleet.state import FleetState
from stoker.operate.fleet import Conflicts, Fleet
from stoker.ui.terminal import ProgressPrinter

F = TypeVar("F", bound=Callable[..., Any])


def conflict_options(function: F) -> F:
    """--force-conflicts and --take-over: what others hold of a fleet in a cluster, fields or the whole of
    it. The verb takes them as `held`."""
    function = gathered(Conflicts, "held")(function)
    function = click.option(
        "--take-over",
        is_flag=True,
        help="In a cluster: end another command that is changing the fleet.",
    )(function)
    return click.option(
        "--force-conflicts",
        "force",
        is_flag=True,
        help="In a cluster: take fields out of other managers' hands.",
    )(function)


def asked(done: Callable[[], None]) -> Callable[[str], bool]:
    """Asks a question of the person at the terminal; no, where there is none. done: ends the line that is
    being written."""

    def ask(text: str) -> bool:
        if not sys.stdin.isatty():
            return False
        done()
        return click.confirm(text, err=True)

    return ask


def change(
    which: FleetOptions,
    held: Conflicts,
    output: str,
    changed: Callable[[Fleet, Report], FleetState],
    more: str = "",
) -> None:
    """Changes the fleet that is meant, with the person at the terminal to ask, and prints what came of it.

    more: what is said behind it. `kill` ends the verb as Ctrl-C does.
    """
    printer = ProgressPrinter()
    fleet = find_fleet(which)
    terminate_as_interrupt()
    fleet.conflicts = replace(held, ask=asked(printer.done))
    try:
        state = changed(fleet, printer)
    finally:
        printer.done()
    print_fleet(state, output, more)
