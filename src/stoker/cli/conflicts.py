"""What others hold of a fleet in a cluster, fields or the whole of it: the options, and the question at a
terminal."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from stoker.cli.common import terminate_as_interrupt

if TYPE_CHECKING:
    from stoker.operate.cluster import ClusterFleet

F = TypeVar("F", bound=Callable[..., Any])


def conflict_options(function: F) -> F:
    """--force-conflicts and --take-over: what others hold of a fleet in a cluster, fields or the whole of
    it."""
    function = click.option(
        "--take-over",
        "over",
        is_flag=True,
        help="In a cluster: end another command that is changing the fleet.",
    )(function)
    return click.option(
        "--force-conflicts",
        "force",
        is_flag=True,
        help="In a cluster: take fields out of other managers' hands.",
    )(function)


def asked(printer: Callable[[], None]) -> Callable[[str], bool]:
    """Asks a question of the person at the terminal; no, where there is none. story: ends the line that is
    being written."""

    def ask(text: str) -> bool:
        if not sys.stdin.isatty():
            return False
        printer()
        return click.confirm(text, err=True)

    return ask


def handed(fleet: "ClusterFleet", printer: Callable[[], None], force: bool, over: bool) -> "ClusterFleet":
    """The fleet of a cluster, with what a verb may do about the hands of others."""
    fleet.target.force, fleet.over, fleet.ask = force, over, asked(printer)
    terminate_as_interrupt()
    return fleet
