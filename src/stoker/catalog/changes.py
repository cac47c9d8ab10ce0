"""What came and went in vLLM's releases: options, metrics, environment variables, defaults.

Source: the dates are those of the spans (`releases`), read from vLLM itself; what to use instead and why are in
`data/changes.toml`, each row with its own sources. A default is not in the spans: its rows have their dates.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from stoker.catalog import releases, vllm

Kind = Literal["option", "metric", "environment", "default"]
_KINDS: Mapping[Kind, releases.Kind] = {
    "option": "options",
    "metric": "metrics",
    "environment": "environment",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not in every release: there from `since` on, and gone in `until`; either may be
    empty."""

    kind: Kind
    name: str
    since: str
    until: str
    instead: str
    note: str
    sources: tuple[str, ...]

    def there(self, version: str) -> bool:
        """Whether a release has it."""
        mine = _order(version)
        begun = not self.since or _order(self.since) <= mine
        return begun and not (self.until and _order(self.until) <= mine)

    def why(self, version: str) -> str:
        """Why a release does not have it, in words."""
        gone = bool(self.until) and _order(self.until) <= _order(version)
        when = f"gone since {self.until}" if gone else f"there since {self.since}"
        return f"vLLM {version} has no {self.written}: {when}{f' ({self.note})' if self.note else ''}"

    @property
    def written(self) -> str:
        """As one types it: an option with its dashes."""
        return f"--{self.name}" if self.kind == "option" else self.name

    @property
    def fix(self) -> str:
        """What to use in its place."""
        if not self.instead:
            return f"leave {self.written} out"
        dashed = self.kind != "metric" and not self.instead.startswith("VLLM_")
        return f"use {'--' * dashed}{self.instead}"


def _order(version: str) -> tuple[tuple[int, ...], int]:
    return releases.order(version if releases.is_release(version) else vllm.DEFAULT)


@dataclass(frozen=True, slots=True)
class Told:
    """A row of the file. instead: what to use, the first of them that a release has."""

    kind: Kind
    name: str
    instead: tuple[str, ...]
    note: str
    sources: tuple[str, ...]
    since: str = ""


@cache
def told_rows() -> Mapping[tuple[Kind, str], Told]:
    """The rows of the file, by kind and name."""
    raw: dict[str, Any] = tomllib.loads(
        files("stoker.catalog").joinpath("data/changes.toml").read_text(encoding="utf-8")
    )
    rows = [
        Told(**{**row, "instead": tuple(row["instead"]), "sources": tuple(row["sources"])})
        for row in raw["changes"]
    ]
    return {(row.kind, row.name): row for row in rows}


@cache
def _lives(kind: Kind) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """When each name was there; a counter under its name without `_total`, a hidden metric as if it were
    gone."""
    if kind == "default":
        return {name: ((told.since, ""),) for (of, name), told in told_rows().items() if of == kind}
    if kind != "metric":
        return releases.lives(_KINDS[kind])
    shown = [one for one in releases.spans("metrics") if one.row.get("with") != vllm.HIDDEN]
    counters = {one.name for one in shown if one.row["kind"] == "counter"}
    return {
        name.removesuffix("_total") if name in counters else name: pairs
        for name, pairs in releases.lives_of(shown).items()
    }


@cache
def of_kind(kind: Kind) -> Mapping[str, Change]:
    """What is not in every release, by name."""
    oldest = releases.known()[0]
    found = {}
    for name, pairs in _lives(kind).items():
        since, until = pairs[0][0], pairs[-1][1]
        since = "" if since == oldest else since
        if since or until or len(pairs) > 1:
            found[name] = _change(kind, name, since, until)
    for (of, name), told in told_rows().items():
        if of == kind and name not in found and name not in _lives(kind):  # gone before the oldest
            found[name] = replace(_change(kind, name, "", oldest), note=told.note)
    return found


def _change(kind: Kind, name: str, since: str, until: str) -> Change:
    told = told_rows().get((kind, name))
    if told is None:
        return Change(kind, name, since, until, "", "", (f"vLLM {until or since}",))
    return Change(kind, name, since, until, next(iter(told.instead), ""), told.note, told.sources)


@cache
def changes() -> tuple[Change, ...]:
    """All of them, whatever kind they are."""
    kinds: tuple[Kind, ...] = ("option", "environment", "metric", "default")
    return tuple(one for kind in kinds for one in of_kind(kind).values())


def missing(kind: Kind, names: Iterable[str], version: str) -> tuple[Change, ...]:
    """Of the names, those that the catalog knows to be absent in a release; what to use instead is something
    that the release has."""
    known = of_kind(kind)
    wanted = [one for one in map(known.get, dict.fromkeys(names)) if one is not None]
    bound = [_bound(one, version) for one in wanted]
    return tuple(one for one in bound if not one.there(version))


def _bound(one: Change, version: str) -> Change:
    """The change as it is for a release: the part of a broken life that is next to it, and an `instead` that
    it has."""
    mine, pairs = _order(version), _lives(one.kind).get(one.name, ())
    for since, until in pairs if len(pairs) > 1 else ():
        if since == releases.known()[0]:
            since = ""
        if since and _order(since) > mine:
            one = replace(one, since=since, until="")
            break
        one = replace(one, since=since, until=until)
    told = told_rows().get((one.kind, one.name))
    has = _has(one.kind, version)
    return replace(one, instead=next((name for name in told.instead if has(name)), "") if told else "")


def _has(kind: Kind, version: str) -> Any:
    release = vllm.nearest_release(version)

    def has(name: str) -> bool:
        if kind == "metric":
            return name in release.metrics or f"{name}_total" in release.metrics
        return name in release.environment or release.option(name) is not None

    return has
