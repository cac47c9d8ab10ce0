"""`stoker explain`: what a rule means."""

import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from stoker.catalog import rules
from stoker.catalog.rules import Rule
from stoker.cli.common import output_option
from stoker.errors import UsageError
from stoker.findings import labelled

WIDTH = 7


@click.command("explain")
@click.argument("rule", required=False)
@output_option("text", "json")
def command(rule: str | None, output: str) -> None:
    """Explains a rule: what it is about, why it is so, and what to do.

    RULE is the id that a finding carries: `stoker why -o json` and `stoker lint` name it. Without one, all
    rules are listed.
    """
    if rule is None:
        _list(output)
        return
    found = rules.variants(rule)
    if not found:
        raise _unknown(rule)
    click.echo(json.dumps(_plain(rule, found), indent=2) if output == "json" else _text(rule, found))


def _list(output: str) -> None:
    """Every id with its meaning, by what is looked at."""
    if output == "json":
        click.echo(json.dumps([_plain(id, rules.variants(id)) for id in rules.ids()], indent=2))
        return
    longest = max(map(len, rules.ids()))
    for scope in rules.SCOPES:
        click.echo(click.style(scope, bold=True))
        for id in rules.ids([scope]):
            click.echo(f"  {id:<{longest}}  {rules.meaning(id)}")


def _unknown(rule: str) -> UsageError:
    near = difflib.get_close_matches(rule, rules.ids(), n=1)
    return UsageError(
        f"there is no rule {rule!r}",
        why="no finding carries that id",
        rule="explain-unknown",
        fix=f"stoker explain {near[0]}" if near else "`stoker explain` lists all rules",
    )


def _text(id: str, found: Sequence[Rule]) -> str:
    """The rule as a person reads it: what its variants share once, then each of them."""
    lines = [f"{id}: {rules.meaning(id)}"]
    for one in found:
        more = {"why": one.why, "fix": one.fix, "also": one.more}
        own = {"what": one.what} if len(found) > 1 else {}
        lines += labelled({key: rules.blank(text) for key, text in (own | more).items()}, width=WIDTH)
    first = found[0]
    about = {"scope": first.scope, "since": first.since, "until": first.until, "source": first.source}
    return "\n".join([*lines, *labelled(about, width=WIDTH)])


def _plain(id: str, found: Sequence[Rule]) -> dict[str, Any]:
    """The rule as JSON: each variant with all that is known of it."""
    common = {
        "rule": id,
        "meaning": rules.meaning(id),
        "scope": found[0].scope,
        "severity": found[0].severity,
    }
    rows = [{key: value for key, value in asdict(one).items() if key not in ("id", "scope")} for one in found]
    return {**common, "variants": rows}
