"""What others hold of a fleet in a cluster, fields or the whole of it: the options, and the question at a
terminal."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from stoker.cli.signals import terminate_as_interrupt
from stoker.operate.fleet import Conflicts

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


def asked(done: Callable[[], None]) -> Callable[[str], bool]:
    """Asks a question of the person at the terminal; no, where there is none. done: ends the line that is
    being written."""

    def ask(text: str) -> bool:
        if not sys.stdin.isatty():
            return False
        done()
        return click.confirm(text, err=True)

    return ask


def conflicts(done: Callable[[], None], force: bool, over: bool) -> Conflicts:
    """What the options say, with the person at the terminal to ask. `kill` ends the verb as Ctrl-C does."""
    terminate_as_interrupt()
    return Conflicts(force, over, asked(done))
