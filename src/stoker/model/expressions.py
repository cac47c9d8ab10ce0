"""Formulas over the fields of a config.json, as the catalog's blueprints hold them.

A formula is a number, a text, or a list of an operator and its operands: `["*", ["attr", "",
"hidden_size"], 3]`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from stoker.bounds import finite

MOST = 2**62  # no count of a model's is larger


class Unfit(ValueError):
    """A formula has no value for this config.json."""


class Source(Protocol):
    """Where fields come from. `layer` is the decoder's layer that is looked at, if any."""

    def field(self, path: str, key: str, layer: int | None) -> Any:
        """The value of a field of the part at `path`."""

    def has(self, path: str, key: str) -> bool:
        """Whether there is such a field."""


def _power(base: Any, exponent: Any) -> Any:
    if abs(base) > 2**31 or abs(exponent) > 16:
        raise Unfit("a power that no size is made of")
    return base**exponent


OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a % b,
    "**": _power,
    "ceil": math.ceil,
    "floor": math.floor,
    "int": int,
    "round": round,
    "max": max,
    "min": min,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "none": lambda a: a is None,
    "truth": bool,
    "in": lambda a, b: b is not None and a in b,
    "within": lambda a, b: str(a) in str(b),
    "item": lambda a, b: a[b],
    "len": len,
    "sum": sum,
    "not": lambda a: not a,
    "range": lambda a, b, c: list(range(a, min(b, 4096), max(1, c))),
    "repeat": lambda a, b: [a] * min(b, 4096),
}


def value(formula: Any, source: Source, names: Mapping[str, int]) -> Any:
    """What a formula comes to. Raises: Unfit, where a field is missing or of another kind."""
    if not isinstance(formula, list):
        return formula
    head = formula[0]
    if head == "attr":
        return source.field(formula[1], formula[2], names.get("i0"))
    if head == "missing":
        return not source.has(formula[1][1], formula[1][2])
    if head == "var":
        return names[formula[1]]
    try:
        found = OPERATORS[head](*(value(one, source, names) for one in formula[1:]))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Unfit(f"{head}: {error}") from None
    if isinstance(found, int | float) and not (finite(found) and abs(found) < MOST):
        raise Unfit("a number that no model has")
    return found


def uses(formula: Any, name: str) -> bool:
    """Whether a formula or a program speaks of a loop's variable."""
    if not isinstance(formula, list):
        return False
    if formula[:1] == ["var"]:
        return bool(formula[1] == name)
    return any(uses(one, name) for one in formula)
