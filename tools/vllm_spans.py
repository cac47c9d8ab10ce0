"""Facts of releases as spans: each with the first release that has it and the first that has it no more.

`data/releases/index.json` lists the releases with their days; beside it stands a file for each kind of fact,
one span a line: name, since, until (empty: still there), and what is said of it where something is. A new
release changes only the lines of what came, went or changed in it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parent.parent / "src/stoker/catalog/data/releases"
Facts = Mapping[str, Mapping[str, Any]]  # rows by name, of one kind and one release
KINDS = (
    "options",
    "environment",
    "routes",
    "metrics",
    "architectures",
    "quantizations",
    "not_in_float16",
    "tool_parsers",
    "reasoning_parsers",
    "batches",
)
Span = tuple[str, str, str, dict[str, Any]]


def spans(releases: Iterable[str], facts: Mapping[str, Facts]) -> list[Span]:
    """The spans of one kind out of the facts of each release, the releases from old to new."""
    order = list(releases)
    found: list[Span] = []
    for name in sorted({name for release in order for name in facts[release]}):
        open_row: dict[str, Any] | None = None
        since = ""
        for release in order:
            row = facts[release].get(name)
            row = None if row is None else dict(row)
            if row != open_row:
                if open_row is not None:
                    found.append((name, since, release, open_row))
                open_row, since = row, release
        if open_row is not None:
            found.append((name, since, "", open_row))
    return found


def facts(releases: Iterable[str], rows: Iterable[Span]) -> dict[str, dict[str, dict[str, Any]]]:
    """The facts of each release out of the spans: what `spans` made them of."""
    order = list(releases)
    found: dict[str, dict[str, dict[str, Any]]] = {release: {} for release in order}
    for name, since, until, row in rows:
        last = order.index(until) if until else len(order)
        for release in order[order.index(since) : last]:
            found[release][name] = row
    return found


def read(kind: str) -> list[Span]:
    """The spans that are checked in."""
    path = DATA / f"{kind}.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [(row[0], row[1], row[2], row[3] if len(row) > 3 else {}) for row in rows]


def write(kind: str, rows: Iterable[Span]) -> None:
    """Checks them in, one a line."""
    lines([list(row if row[3] else row[:3]) for row in rows], DATA / f"{kind}.json")


def lines(rows: Iterable[Any], path: Path) -> None:
    """A JSON list with one entry a line."""
    path.parent.mkdir(exist_ok=True)
    texts = [json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for row in rows]
    path.write_text("[\n" + ",\n".join(texts) + "\n]\n", encoding="utf-8")


def index() -> dict[str, str]:
    """The releases that are checked in, oldest first, with their days."""
    path = DATA / "index.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def helps() -> dict[str, str]:
    """The help of each option, as the newest release has it that has the option."""
    path = DATA / "help.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
