"""Values of manifests that others wrote, whatever stands in their place: nothing here raises."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
_QUANTITY = re.compile(
    r"([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30}))(?:[eE]([+-]?[0-9]{1,2})|([A-Za-z]{0,2}))"
)
_SUFFIXES: Mapping[str, float] = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def table(value: Any) -> Mapping[str, Any]:
    """A map; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def listed(value: Any) -> list[Any]:
    """A list; an empty one where it is none."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """A text or a number as it is written; empty for anything else."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def whole(value: Any) -> int | None:
    """A whole number; None of anything else, such as a text that a template is to fill in."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def quantity(value: Any) -> float | None:
    """The number of a Kubernetes quantity (`5`, `2500m`, `1k`, `2Gi`); None of what is none.

    Source: apimachinery, `api/resource/quantity.go`.
    """
    match = _QUANTITY.fullmatch(text(value).strip())
    if match is None or (match[3] or "") not in _SUFFIXES:
        return None
    number = float(match[1]) * (10.0 ** int(match[2]) if match[2] else _SUFFIXES[match[3] or ""])
    return number if math.isfinite(number) else None


def number(value: Any) -> float | None:
    """A plain number, quoted or not; None of what is none."""
    try:
        found = float(text(value))
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def quietly(read: Callable[..., T], *given: Any, default: T) -> T:
    """What a reader makes of an object of others; the default where its shape is another's concern."""
    try:
        return read(*given)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return default


def some(names: Iterable[str], most: int = 8) -> str:
    """Names in a row, each once, and how many more there are."""
    all_of = list(dict.fromkeys(names))
    more = f" and {len(all_of) - most} more" if len(all_of) > most else ""
    return ", ".join(all_of[:most]) + more


def figure(value: float) -> str:
    """A number as people write it: `5`, `0.8`."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"
