"""The reference page of vLLM's releases: what came and went in each, out of the catalog. `make docs`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from stoker.catalog import releases
from stoker.catalog.changes import Change, of_kind

HEAD = """# vLLM by release

{edit}

What each release has that the one before had not, and the other way round: options of `vllm serve`, metric
families, environment variables, architectures, quantizations, parsers, and defaults that depend on the
device. Read from each release's own sources; what to use instead is written by hand, with its sources.
Options are checked against the release that a spec names (`engine.version`), metrics against that of an
image or `--release`.
"""
NAMED: dict[releases.Kind, str] = {
    "environment": "Variables",
    "architectures": "Architectures",
    "quantizations": "Quantizations",
    "tool_parsers": "Parsers of tool calls",
    "reasoning_parsers": "Parsers of reasoning",
    "routes": "Routes",
}


def page(edit: str) -> str:
    """The text, the newest release first; of the oldest only that it is there."""
    known = releases.known()
    parts = [HEAD.format(edit=edit)]
    for before, release in reversed(list(pairwise(known))):
        day = releases.days()[release]
        parts += [f"## {release}", "", f"Published {day}.", "", *_of(before, release), ""]
    parts += [f"## {known[0]}", "", f"Published {releases.days()[known[0]]}. The oldest that is known."]
    return "\n".join(parts) + "\n"


def _of(before: str, release: str) -> list[str]:
    lines = [*_changes("Options", "option", "options", before, release)]
    lines += _changes("Metrics", "metric", "metrics", before, release)
    for kind, name in NAMED.items():
        was, now = set(releases.facts(kind, before)), set(releases.facts(kind, release))
        lines += _two(name, _list(sorted(now - was)), _list(sorted(was - now)))
    if (now_batches := releases.facts("batches", release)) != releases.facts("batches", before):
        rows = [f"{name}: {row}" for name, row in sorted(now_batches.items())]
        lines.append(f"- Defaults by device: {'; '.join(_plain(row) for row in rows)}.")
    return lines or ["Nothing of these has changed."]


def _changes(title: str, kind: str, facts: releases.Kind, before: str, release: str) -> list[str]:
    """What came and went, and what is said of that."""
    was, now = set(releases.facts(facts, before)), set(releases.facts(facts, release))
    table = of_kind("option" if kind == "option" else "metric")
    gone = [
        _told(name, table.get(name) or table.get(name.removesuffix("_total"))) for name in sorted(was - now)
    ]
    return _two(title, _list(sorted(now - was)), ", ".join(gone))


def _told(name: str, change: Change | None) -> str:
    said = [f"now `{change.instead}`"] if change and change.instead else []
    said += [change.note] if change and change.note else []
    return f"`{name}`" + (f" ({'; '.join(said)})" if said else "")


def _two(title: str, came: str, gone: str) -> list[str]:
    return [f"- {title}, new: {came}."] * bool(came) + [f"- {title}, gone: {gone}."] * bool(gone)


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _plain(text: str) -> str:
    return text.replace("{", "").replace("}", "").replace("'", "")
