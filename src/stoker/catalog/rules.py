"""The rules: what is looked for, what it means, why it is so, and what to do. Findings are made of them.

`data/rules/*.toml` holds them, a file for what is looked at; the order of files and rows is the order in
which they are tried, so that the specific ones come first. Each file names its sources.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

from stoker.findings import Finding, Severity

Scope = Literal[
    "engine log", "engine process", "weights copy log", "pod event", "autoscaler", "fleet",
    "lint", "check of the machine", "check of the cluster", "error",
]  # fmt: skip
# What an engine can say as it dies: its options, its model, the device and image, ranks, room, its processes.
ENGINE = ("options", "checkpoint", "device", "ranks", "room", "engine")
# In the order in which `why` ranks them: what an engine said as it died is nearest to the cause.
FILES = (
    *ENGINE, "process", "images", "making", "volumes", "placing", "copy", "running", "scaling", "fleet",
    "lint", "pods", "scalers", "machine", "cluster", "errors",
)  # fmt: skip
Kind = Literal["cause", "warning", "symptom", "place", "echo", "end"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_FIELD = re.compile(r"\{(\w+)(?:\|([^{}]*))?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule, or one of the variants of a rule: rows of one id.

    text is the pattern that is looked for, reason that of an event or condition; beside is a reason that must
    be among all that were seen, without one that must not. In what, why and fix, `{1}` is the first group of
    `text`, `{0}` all that matched, `{name}` a value that the place gives which finds it; `{1|else}` is `else`
    where there is none. case tells variants apart that code chooses. echo: said by others of a process that
    went without a word. more is what else helps; since and until are releases of what is looked at.
    """

    id: str
    scope: Scope
    what: str
    why: str = ""
    fix: str = ""
    severity: Severity = "error"
    text: str = ""
    reason: str = ""
    beside: str = ""
    without: str = ""
    case: str = ""
    kind: Kind = "cause"
    within: str = ""
    where: str = ""
    more: str = ""
    since: str = ""
    until: str = ""
    source: str = ""

    def match(self, said: str, *, case: bool = True) -> re.Match[str] | None:
        """Where the text says what is looked for; case: whether its letters' case counts."""
        return _pattern(self.text, case).search(said) if self.text else None

    def finding(self, at: str = "", **values: object) -> Finding:
        """The finding, with values for the names in its texts."""
        return self.filled({name: str(value) for name, value in values.items()}, at)

    def found(self, match: re.Match[str], at: str = "") -> Finding:
        """The finding of a match: its groups by their numbers."""
        groups = (match[0], *match.groups())
        return self.filled({str(number): group or "" for number, group in enumerate(groups)}, at)

    def filled(self, values: Mapping[str, str], at: str = "") -> Finding:
        """The finding, with values by name and number."""
        what, why, fix = (fill(text, values) for text in (self.what, self.why, self.fix))
        return Finding(what, why, fix, at, self.severity, self.id)


@dataclass(frozen=True, slots=True)
class Book:
    """All of one file: its rules in order, and what each id with several variants means."""

    rules: tuple[Rule, ...]
    about: Mapping[str, str]


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with its names and numbers filled in; braces around anything else stay, as in a line of YAML."""
    return _FIELD.sub(lambda m: (values[m[1]] or m[2] or "") if m[1] in values else m[0], text)


@cache
def book(name: str) -> Book:
    """One file of rules."""
    path = files("stoker.catalog").joinpath(f"data/rules/{name}.toml")
    raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    common: dict[str, Any] = {key: raw[key] for key in ("scope", "source") if key in raw}
    return Book(tuple(_rule({**common, **row}) for row in raw["rules"]), raw.get("about", {}))


def of(*names: str) -> tuple[Rule, ...]:
    """The rules of some files, in order."""
    return tuple(rule for name in names for rule in book(name).rules)


def everything() -> tuple[Rule, ...]:
    """All rules."""
    return of(*FILES)


@cache
def ranks() -> Mapping[str, int]:
    """The place of each id among all: the first is the nearest to a cause."""
    out: dict[str, int] = {}
    for number, rule in enumerate(everything()):
        out.setdefault(rule.id, number)
    return out


@cache
def rule(id: str, case: str = "") -> Rule:
    """The rule of that id, of several variants the one for a case. Raises: KeyError."""
    found = next((one for one in everything() if (one.id, one.case) == (id, case)), None)
    if found is None:
        raise KeyError(f"no rule {id}{f' for {case}' if case else ''}")
    return found


def variants(id: str) -> tuple[Rule, ...]:
    """All rows of an id; none where nobody knows it."""
    return tuple(one for one in everything() if one.id == id)


def meaning(id: str) -> str:
    """What a rule is about, in a sentence: its own, or that of its variants together."""
    told = (book(name).about.get(id) for name in FILES)
    return next(filter(None, told), None) or blank(variants(id)[0].what)


def ids(scopes: Iterable[Scope] = SCOPES) -> tuple[str, ...]:
    """Every id of some scopes, once, in order."""
    wanted = set(scopes)
    return tuple(dict.fromkeys(one.id for one in everything() if one.scope in wanted))


def blank(text: str) -> str:
    """A text as it is told of no case: its values as `…`, or by their names."""
    return _FIELD.sub(lambda m: "…" if m[1].isdigit() else f"<{m[1].replace('_', ' ')}>", text)


def _rule(row: Mapping[str, Any]) -> Rule:
    given: dict[str, Any] = {
        key: _joined(value) if key in ("text", "reason", "where") else value for key, value in row.items()
    }
    if unknown := given.keys() - {one.name for one in fields(Rule)}:
        raise ValueError(f"rule {row.get('id')}: {', '.join(sorted(unknown))}")
    return Rule(**given)


def _joined(value: str | list[str | list[str]]) -> str:
    """Alternatives stand in a list; one that is long stands there as the list of its parts."""
    if isinstance(value, str):
        return value
    return "|".join(one if isinstance(one, str) else "".join(one) for one in value)


@cache
def _pattern(text: str, case: bool) -> re.Pattern[str]:
    return re.compile(text, 0 if case else re.IGNORECASE)
