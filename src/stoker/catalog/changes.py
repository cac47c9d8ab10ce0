"""What came and went in vLLM's releases: options, metrics, environment variables, defaults.

Source: `data/changes.toml`, each row with its own sources.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from stoker.catalog.memory import numbers

Kind = Literal["option", "metric", "environment", "default"]


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
        mine = numbers(version)
        begun = not self.since or numbers(self.since) <= mine
        return begun and not (self.until and numbers(self.until) <= mine)

    def why(self, version: str) -> str:
        """Why a release does not have it, in words."""
        gone = bool(self.until) and numbers(self.until) <= numbers(version)
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
        return f"use {'--' * (self.kind != 'metric')}{self.instead}"


@cache
def changes() -> tuple[Change, ...]:
    """All rows of the catalog."""
    raw: dict[str, Any] = tomllib.loads(
        files("stoker.catalog").joinpath("data/changes.toml").read_text(encoding="utf-8")
    )
    return tuple(Change(**{**row, "sources": tuple(row["sources"])}) for row in raw["changes"])


def missing(kind: Kind, names: Iterable[str], version: str) -> tuple[Change, ...]:
    """Of the names, those that the catalog knows to be absent in a release."""
    wanted = set(names)
    return tuple(
        one for one in changes() if one.kind == kind and one.name in wanted and not one.there(version)
    )
