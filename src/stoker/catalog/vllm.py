"""What is known of each vLLM release: its options, routes and metric families.

Source: `data/releases`, read from vLLM itself by `tools/read_vllm.py`.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Literal

from stoker.catalog import releases
from stoker.catalog.options import Option as Option
from stoker.errors import UsageError

KNOWN = releases.known()
DEFAULT = "0.32.0"
HIDDEN = "show-hidden-metrics-for-version"  # the option that shows metrics once more before they go


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the engine. A `{…}` in the path stands for one segment; WEBSOCKET is a method here."""

    path: str
    methods: tuple[str, ...]
    audience: Literal["inference", "admin"]


@dataclass(frozen=True, slots=True)
class Method:
    """A quantization method: the compute capability it needs (7.5 is 75), and the dtypes that it computes
    in."""

    capability: int
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class Release:
    """One release of vLLM. What it has is read when it is asked for."""

    version: str

    @cached_property
    def options(self) -> Mapping[str, Option]:
        """The options of `vllm serve` by name."""
        helps, limits = releases.helps(), _limits()
        rows = releases.facts("options", self.version)
        return {
            name: _option(name, {**_limited(name, row, limits), "help": helps.get(name, "")})
            for name, row in rows.items()
        }

    @cached_property
    def routes(self) -> Mapping[str, Route]:
        """The engine's routes by path."""
        rows = releases.facts("routes", self.version)
        return {path: Route(path, tuple(row["methods"]), row["for"]) for path, row in rows.items()}

    @cached_property
    def metrics(self) -> Mapping[str, str]:
        """The metric families of its page with their types, without those that need a feature."""
        rows = releases.facts("metrics", self.version)
        return {name: row["kind"] for name, row in rows.items() if "with" not in row}

    @cached_property
    def families(self) -> Mapping[str, str]:
        """All its metric families with their types."""
        rows = releases.facts("metrics", self.version)
        return {name: row["kind"] for name, row in rows.items()}

    @cached_property
    def features(self) -> Mapping[str, str]:
        """Metric families that are on the page only with a feature: an option's name, or words."""
        rows = releases.facts("metrics", self.version)
        return {name: row["with"] for name, row in rows.items() if "with" in row}

    @cached_property
    def quantizations(self) -> Mapping[str, Method]:
        """Its quantization methods; capability 0 where the release does not say plainly what it needs."""
        rows = releases.facts("quantizations", self.version)
        return {
            name: Method(row.get("capability", 0), tuple(row.get("dtypes", _DTYPES)))
            for name, row in rows.items()
        }

    @cached_property
    def not_in_float16(self) -> frozenset[str]:
        """Model types that it refuses to compute in float16."""
        return frozenset(releases.facts("not_in_float16", self.version))

    @cached_property
    def environment(self) -> frozenset[str]:
        """The variables that it reads."""
        return frozenset(releases.facts("environment", self.version))

    @cached_property
    def architectures(self) -> Mapping[str, str]:
        """The model classes of its registry, by what each is for."""
        return {name: row["for"] for name, row in releases.facts("architectures", self.version).items()}

    def parsers(self, kind: Literal["tool", "reasoning"]) -> tuple[str, ...]:
        """The names of its parsers of tool calls, or of reasoning."""
        name: releases.Kind = "tool_parsers" if kind == "tool" else "reasoning_parsers"
        return tuple(releases.facts(name, self.version))

    def names_of(self, option: str) -> tuple[str, ...]:
        """The names that an option takes one of, where its parser takes any text: of parsers and
        quantizations."""
        match option:
            case "tool-call-parser":
                return self.parsers("tool")
            case "reasoning-parser":
                return self.parsers("reasoning")
            case "quantization":
                return tuple(self.quantizations)
        return ()

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {
            alias: option.name for option in self.options.values() for alias in (*option.aliases, option.name)
        }

    def option(self, name: str) -> Option | None:
        """An option by any of its names, underscores as dashes; `name.key` is one key of a JSON option."""
        head, dot, key = name.partition(".")
        found = self.options.get(self._names.get(head.replace("_", "-"), ""))
        if found is None or not dot:
            return found
        return (
            replace(found, name=f"{found.name}.{key}", text=True, dotted=False)
            if found.dotted and key
            else None
        )

    def nearest(self, name: str) -> str | None:
        """The known option most like a name, or None where none is."""
        near = difflib.get_close_matches(name.lower().replace("_", "-"), self.options, n=1, cutoff=0.6)
        return near[0] if near else None

    @property
    def inference_routes(self) -> frozenset[str]:
        """Paths for users."""
        return frozenset(route.path for route in self.routes.values() if route.audience == "inference")

    @property
    def admin_routes(self) -> frozenset[str]:
        """Paths that change, reveal or profile the server, and those that nobody has classified."""
        return frozenset(self.routes) - self.inference_routes


@cache
def _limits() -> Mapping[tuple[str, str], Mapping[str, Any]]:
    """The ranges of numbers as the newest release declares them, by option and kind: older ones declare
    none, and refuse the same at a later place."""
    found = {}
    for one in releases.spans("options"):
        limits = {key: one.row[key] for key in _RANGE if key in one.row}
        if limits:
            found[one.name, one.row["kind"]] = limits
    return found


def _limited(
    name: str, row: Mapping[str, Any], limits: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    own = any(key in row for key in _RANGE)
    return {**({} if own else limits.get((name, row["kind"]), {})), **row}


_RANGE = ("least", "above", "most", "below")
_DTYPES = ("bfloat16", "float16", "float32")


def nearest_release(version: str) -> Release:
    """The release of that version, or the one that it is taken for where the catalog has it not."""
    return release(releases.nearest(version) if releases.is_release(version) else DEFAULT)


@cache
def release(version: str) -> Release:
    """The release of that version. Raises: UsageError, where it is not in the catalog."""
    if version not in KNOWN:
        raise UsageError(
            f"vLLM {version} is not known to this Stoker",
            why=f"known: {KNOWN[0]} to {KNOWN[-1]}",
            fix=f"version: {DEFAULT}",
            rule="vllm-release",
        )
    return Release(version)


def _option(name: str, row: Mapping[str, Any]) -> Option:
    lists = {key: tuple(row.get(key, ())) for key in ("choices", "aliases")}
    return Option(name, **{**row, **lists})
