"""Facts of vLLM's releases as spans, and which releases there are.

Source: `data/releases`, read from vLLM itself by `tools/read_vllm.py`; see `decisions/013-releases-as-spans.md`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

Kind = Literal[
    "options", "environment", "routes", "metrics", "architectures", "quantizations", "not_in_float16",
    "tool_parsers", "reasoning_parsers", "batches",
]  # fmt: skip
# As published: 0.32.0, 0.8.5.post1, 0.34.0rc1. A first number other than 0 is no release that there ever was.
_RELEASE = re.compile(r"0(\.\d{1,4}){2,3}(\.post\d+)?(rc\d+|\.dev\d+)?")


@dataclass(frozen=True, slots=True)
class Span:
    """A fact: in every release from `since` on, and no more in `until`, which is empty where it is still
    there."""

    name: str
    since: str
    until: str
    row: Mapping[str, Any]


@cache
def days() -> Mapping[str, str]:
    """The releases that the catalog knows, oldest first, with the day each came to the package index."""
    return MappingProxyType(dict(_data("index")))


@cache
def known() -> tuple[str, ...]:
    """The releases that the catalog knows, oldest first."""
    return tuple(days())


def is_release(text: str) -> bool:
    """Whether a text can be a release of vLLM at all, known or not."""
    return _RELEASE.fullmatch(text) is not None


def order(release: str) -> tuple[tuple[int, ...], int]:
    """What releases are compared by: 0.8.5 < 0.8.5.post1 < 0.9.0 < 0.9.0.1; a candidate as what it is for."""
    plain, _, post = re.sub(r"(rc|\.dev)\d+$", "", release).partition(".post")
    return tuple(map(int, plain.split("."))), int(post or 0)


@cache
def nearest(release: str) -> str:
    """The release of the catalog that another is taken for: the newest that is not newer, or the oldest."""
    if release in days():
        return release
    mine = order(release)
    before = [one for one in known() if order(one) <= mine]
    return before[-1] if before else known()[0]


@cache
def spans(kind: Kind) -> tuple[Span, ...]:
    """All of a kind, by name and then from old to new."""
    return tuple(Span(row[0], row[1], row[2], row[3] if len(row) > 3 else {}) for row in _data(kind))


@cache
def facts(kind: Kind, release: str) -> Mapping[str, Mapping[str, Any]]:
    """What a known release has of a kind: rows by name."""
    places = {one: index for index, one in enumerate(known())}
    mine = places[release]
    return {
        one.name: one.row
        for one in spans(kind)
        if places[one.since] <= mine and (not one.until or mine < places[one.until])
    }


@cache
def lives(kind: Kind) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """When each name of a kind was there, whatever was said of it: pairs of since and until."""
    return lives_of(spans(kind))


def lives_of(rows: Iterable[Span]) -> Mapping[str, tuple[tuple[str, str], ...]]:
    """The same of some spans: those of a name that touch are one."""
    found: dict[str, list[tuple[str, str]]] = {}
    for one in rows:
        mine = found.setdefault(one.name, [])
        if mine and mine[-1][1] == one.since:
            mine[-1] = (mine[-1][0], one.until)
        else:
            mine.append((one.since, one.until))
    return {name: tuple(pairs) for name, pairs in found.items()}


@cache
def helps() -> Mapping[str, str]:
    """The help of each option, as the newest release that has it says it."""
    return dict(_data("help"))


def _data(name: str) -> Any:
    path = files("stoker.catalog").joinpath(f"data/releases/{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))
