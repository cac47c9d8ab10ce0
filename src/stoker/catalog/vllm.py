"""What is known of each vLLM release: its options and its routes. Read from vLLM itself by `tools/read_vllm.py`."""

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from stoker.errors import Mistake
from stoker.units import Tokens

KNOWN = ("0.32.0",)
DEFAULT = "0.32.0"

Kind = Literal["bool", "int", "float", "str", "json", "tokens"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `vllm serve`, without its dashes. `many` says how several values are written."""

    name: str
    kind: Kind
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    many: Literal["", "list", "repeat"] = ""
    negatable: bool = False
    help: str = ""

    def check(self, value: Any) -> str | None:
        """Why a value does not fit, or None where it does."""
        if self.many:
            wrong = [self._check_one(one) for one in (value if isinstance(value, list) else [value])]
            return next((why for why in wrong if why), None)
        return self._check_one(value)

    def _check_one(self, value: Any) -> str | None:
        if self.kind == "bool":
            return None if isinstance(value, bool) else "expected true or false"
        if self.kind == "json":
            return _check_json(value)
        if isinstance(value, dict | list) or value is None:
            return f"expected {_A[self.kind]}"
        if self.choices and str(value) not in self.choices:
            return f"expected one of {', '.join(self.choices)}"
        return None if self.kind == "str" and not isinstance(value, bool) else _check_number(self.kind, value)

    def argv(self, value: Any) -> tuple[str, ...]:
        """The words of a command line that set it."""
        flag = f"--{self.name}"
        if self.kind == "bool":
            return (flag,) if value else ((f"--no-{self.name}",) if self.negatable else ())
        if self.many and isinstance(value, list):
            words = [_word(one) for one in value]
            return (flag, *words) if self.many == "list" else tuple(w for word in words for w in (flag, word))
        return (flag, _word(value))


_A = {"int": "a whole number", "float": "a number", "str": "text", "tokens": "a token count such as 8192, 32K or 32k"}


def _check_number(kind: Kind, value: Any) -> str | None:
    if isinstance(value, bool):
        return f"expected {_A[kind]}"
    if kind == "tokens":
        return _check_tokens(value)
    try:
        whole = int(str(value))
    except ValueError:
        whole = None
    if kind == "int":
        return None if whole is not None else "expected a whole number"
    return None if isinstance(value, int | float) or re.fullmatch(r"-?\d*\.?\d+", str(value)) else "expected a number"


def _check_tokens(value: Any) -> str | None:
    if str(value) in ("auto", "-1"):
        return None
    try:
        return None if Tokens.parse(value) > 0 else "expected a token count above zero"
    except ValueError as error:
        return str(error)


def _check_json(value: Any) -> str | None:
    if isinstance(value, str) and value.strip()[:1] in ("{", "["):
        try:
            json.loads(value)
        except ValueError as error:
            return f"this is not valid JSON: {error}"
    return "expected a table, or JSON" if value is None else None


def _word(value: Any) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), sort_keys=True)
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Release:
    """One release of vLLM. Routes with `{…}` stand for one path segment."""

    version: str
    options: Mapping[str, Option]
    inference_routes: frozenset[str]
    admin_routes: frozenset[str]
    source: str
    _names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def option(self, name: str) -> Option | None:
        """An option by its own name, an alias, or either with underscores."""
        return self.options.get(self._names.get(name.replace("_", "-"), ""))

    def nearest(self, name: str) -> str | None:
        """The known option that is most like a name."""
        near = difflib.get_close_matches(name.replace("_", "-"), self.options, n=1, cutoff=0.6)
        return near[0] if near else None


@cache
def release(version: str) -> Release:
    """The release of that version. Raises: Mistake, where it is not in the catalog."""
    if version not in KNOWN:
        raise Mistake(f"vLLM {version} is not known", why=f"known: {', '.join(KNOWN)}", fix=f"version: {DEFAULT}")
    raw = json.loads(files("stoker.catalog").joinpath(f"data/vllm-{version}.json").read_text())
    options = {name: _option(name, row) for name, row in raw["options"].items()}
    names = {alias.replace("_", "-"): option.name for option in options.values() for alias in (*option.aliases, option.name)}
    routes = raw["routes"]
    return Release(version, options, frozenset(routes["inference"]), frozenset(routes["admin"]), raw["source"], names)


def _option(name: str, row: Mapping[str, Any]) -> Option:
    return Option(
        name,
        row["kind"],
        tuple(row.get("choices", ())),
        tuple(row.get("aliases", ())),
        row.get("many", ""),
        row.get("negatable", False),
        row.get("help", ""),
    )
