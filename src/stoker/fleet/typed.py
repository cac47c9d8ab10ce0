"""Values out of plain ones, by the types that their classes name: what was written to a file, read back and
checked."""

import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
# What files have that an earlier release wrote, and the names of today.
FORMER = {"last_words": "last_error", "signs": "evidence"}


def typed(kind: type[T], raw: Any) -> T:
    """A dataclass of that kind. What it does not know is left out, what it has a default for may be missing.

    Raises: ValueError, which names the place, for what is missing or of another type.
    """
    found: T = _read(kind, raw, kind.__name__)
    return found


def of_today(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The same under the names of today."""
    return {FORMER.get(key, key): value for key, value in raw.items()}


def _read(kind: Any, raw: Any, place: str) -> Any:
    origin = get_origin(kind)
    if kind is Any:
        return raw
    if is_dataclass(kind) and isinstance(kind, type):
        return _whole(kind, raw, place)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), raw, place)
    if origin is Literal:
        return _expected(raw in get_args(kind), raw, place)
    if origin is tuple:
        _expected(isinstance(raw, list | tuple), raw, place)
        return tuple(_read(get_args(kind)[0], one, f"{place}[{n}]") for n, one in enumerate(raw))
    if origin in (dict, Mapping):
        _expected(isinstance(raw, Mapping) and all(isinstance(key, str) for key in raw), raw, place)
        return {key: _read(get_args(kind)[1], value, f"{place}.{key}") for key, value in raw.items()}
    return _plain(kind, raw, place)


def _whole(kind: type, raw: Any, place: str) -> Any:
    _expected(isinstance(raw, Mapping), raw, place)
    raw = of_today(raw)
    hints, given = _hints(kind), {}
    for one in fields(kind):
        if one.name in raw:
            given[one.name] = _read(hints[one.name], raw[one.name], f"{place}.{one.name}")
        elif one.default is MISSING and one.default_factory is MISSING:
            raise ValueError(f"{place}.{one.name} is missing")
    return kind(**given)


def _one_of(kinds: tuple[Any, ...], raw: Any, place: str) -> Any:
    if raw is None and type(None) in kinds:
        return None
    return _read(next(one for one in kinds if one is not type(None)), raw, place)


def _plain(kind: Any, raw: Any, place: str) -> Any:
    if kind is float:
        _expected(isinstance(raw, int | float) and not isinstance(raw, bool), raw, place)
        return float(raw)
    return _expected(type(raw) is kind, raw, place)


def _expected(fits: bool, raw: Any, place: str) -> Any:
    if not fits:
        raise ValueError(f"{place} is {str(raw)[:40]!r}")
    return raw


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
