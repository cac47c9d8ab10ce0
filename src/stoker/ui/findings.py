"""How findings look: one shape for `lint`, `doctor`, `why`, the checks before `up` and every error.

A headline, then `at`, `why` and `fix` below it, each with its label; what differs is the headline alone.
"""

import click

from stoker.findings import Finding, labelled

_COLORS = {"error": "red", "warning": "yellow", "note": "green"}
_MARKS = {"error": "fail", "warning": "warn", "note": "ok"}


def plain(one: Finding) -> str:
    """`error: what`, as errors and `lint` show it."""
    label = click.style(f"{one.severity}:", fg=_COLORS[one.severity], bold=True)
    return "\n".join([f"{label} {one.what}", *one.lines()])


def ruled(one: Finding) -> str:
    """The same with the rule's id, by which others name it."""
    return plain(one) + (f"\n  rule {one.rule}" if one.rule else "")


def checked(one: Finding) -> str:
    """A line of a list of checks: `ok`, `warn` or `fail`."""
    mark = click.style(f"{_MARKS[one.severity]:<4}", fg=_COLORS[one.severity])
    return "\n".join([f"  {mark}  {one.what}", *one.lines("        ")])


def explained(one: Finding, fleet: str) -> str:
    """An answer of `why`: whom it holds up, the cause, what shows it, the fix, and the rule, for `stoker
    explain`."""
    subject, _, cause = one.what.partition(": ")
    return "\n".join(
        [
            f"{fleet}: {subject}",
            *labelled({"cause": cause, "seen": one.why, "fix": one.fix, "rule": one.rule}, width=6),
        ]
    )


def of_a_log(one: Finding) -> str:
    """An answer of `why --log`: the cause, the line that shows it, the fix and the rule; of a note its place
    alone."""
    if one.severity == "note":
        return f"{one.at}: then: {one.what}"
    parts = {"cause": one.what, "seen": one.why, "fix": one.fix, "rule": one.rule}
    return "\n".join([one.at, *labelled(parts, width=6)])
