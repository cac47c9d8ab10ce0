"""Fields of a JSON value from outside: what is there in the type that is expected, or a place that says
where it is not."""

import math
from collections.abc import Mapping
from typing import Any

LARGEST = 1e20  # nanoseconds since 1970 are below it


def number(value: Any, place: str = "") -> float | None:
    """A number; None for nothing, and for what is not finite. Raises: ValueError, naming the place."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{place}: expected a number, not {type(value).__name__}")
    if math.isinf(value) or math.isnan(value):
        return None
    if abs(value) > LARGEST:
        raise ValueError(f"{place}: there is no such number")
    return float(value)


def whole(value: Any, place: str = "") -> int | None:
    """A whole number. Raises: ValueError."""
    found = number(value, place)
    return None if found is None else round(found)


def at(tree: Any, path: str) -> Any:
    """What stands at a path such as `metrics.request_latency.successful`; None, where it ends before. Raises:
    ValueError, where something else than a table stands in the way."""
    for n, name in enumerate(parts := path.split(".")):
        if tree is None:
            return None
        if not isinstance(tree, Mapping):
            raise ValueError(f"{'.'.join(parts[:n])}: expected a table, not {type(tree).__name__}")
        tree = tree.get(name)
    return tree


def get(tree: Any, path: str, scale: float = 1.0) -> float | None:
    """The number there, times a scale."""
    found = number(at(tree, path), path)
    return None if found is None else found * scale


def texts(tree: Any, path: str) -> str:
    """The text there; empty for anything else."""
    found = at(tree, path)
    return found if isinstance(found, str) else ""


def rows(tree: Any, path: str) -> list[Any]:
    """The list there; empty, where there is none. Raises: ValueError."""
    found = at(tree, path)
    if found is None:
        return []
    if not isinstance(found, list):
        raise ValueError(f"{path}: expected a list, not {type(found).__name__}")
    return found


def per(amount: float | None, seconds: float | None) -> float | None:
    """A rate."""
    return amount / seconds if amount is not None and seconds else None
