"""What verbs print: nouns as JSON, findings, text of others."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from stoker import __version__
from stoker.findings import Finding

if TYPE_CHECKING:
    from stoker.fleet.changes import Changes
    from stoker.fleet.state import FleetState
    from stoker.targets.local.last_try import Try


def printable(text: str) -> str:
    """Text of others as a terminal may show it: without what would move its cursor, set its title or its
    clipboard."""
    return _CONTROL.sub("", text) if sys.stdout.isatty() else text


def plain(value: Any) -> Any:
    """A noun as plain values, without what its own text leaves out: keys, and what a step applies."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value) if one.repr}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return value


def tell_last(last: "Try", err: bool) -> None:
    """Says of which try what follows is, as nothing of that name runs."""
    at = datetime.fromtimestamp(last.at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    click.echo(f"the last try of {last.name} failed at {at}: {last.finding.what}", err=err)


def print_json(value: Any) -> None:
    """One noun, as JSON."""
    click.echo(json.dumps(plain(value), indent=2, default=str))


def print_changes(changes: "Changes", output: str, steps: Iterable[str]) -> None:
    """What would be done: as JSON, or its steps in words."""
    if output == "json":
        print_json(changes)
    else:
        click.echo("\n".join(steps) or "nothing to do")


def print_fleet(state: "FleetState", output: str, more: str = "") -> None:
    """What a verb has led a fleet to: the state as JSON, or a line."""
    if output == "json":
        print_json(state)
    else:
        click.echo(f"{state.name}: {state.ready} of {state.wanted} replicas ready{more}")


def print_findings(
    found: Sequence[Finding], output: str, shown: Callable[[Finding], str], err: bool = False
) -> None:
    """Findings, as `-o json` or `-o sarif` has them, or each as text: to stderr where that is asked."""
    if output == "json":
        print_json(list(found))
    elif output == "sarif":
        from stoker.advise.sarif import sarif

        print_json(sarif(found, __version__))
    else:
        for one in found:
            click.echo(shown(one), err=err)


# Escape sequences whole, then every control character but tab and newline.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
