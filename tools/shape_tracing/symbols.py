"""Numbers, texts and lists of a config that remember how they were made, while they stay what they are.

An expression is nested tuples: ("attr", path, key), ("var", name), ("item", list, index), ("len", list), and
operators by their sign. A condition that is asked of such a value is told to the tracer, with its answer.
"""

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

TRACER: Any = None  # the one that is told; set by tracer.Tracer
_ACTS = ("act", "implementation", "dtype", "model_type", "rope", "initial", "norm_type", "version", "name")


def expr(value: Any) -> Any:
    """How a value was made; the value itself where it is a constant."""
    made = getattr(value, "expr", None)
    if made is not None:
        return made
    return value if isinstance(value, int | float | str | bool) or value is None else repr(value)


def sym(value: Any, made: Any) -> Any:
    """The same value with a memory; as it is where its kind keeps none."""
    if isinstance(value, bool):
        return SymBool(value, made)
    if isinstance(value, int):
        return SymInt(value, made)
    if isinstance(value, float):
        return SymFloat(value, made)
    if isinstance(value, str):
        return SymStr(value, made)
    if isinstance(value, list | tuple) and all(isinstance(x, int | float | str | bool) for x in value):
        return SymList(value, made)
    return value


class SymBool:
    """A truth that tells the tracer when it is asked."""

    __hash__ = object.__hash__

    def __init__(self, value: bool, made: Any) -> None:
        self.value, self.expr = bool(value), made

    def __bool__(self) -> bool:
        return TRACER.asked(self.expr, self.value)

    def __eq__(self, other: object) -> bool:
        return bool(self) == bool(other)

    def __deepcopy__(self, memo: Any) -> "SymBool":
        return self

    def __int__(self) -> int:
        return int(bool(self))

    def __index__(self) -> int:
        return int(bool(self))

    def __repr__(self) -> str:
        return repr(self.value)


def _binary(sign: str, do: Callable[[Any, Any], Any], swapped: bool = False) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, int | float) or isinstance(other, bool):
            return NotImplemented
        a, b = (_bare(other), _bare(self)) if swapped else (_bare(self), _bare(other))
        parts = (expr(other), expr(self)) if swapped else (expr(self), expr(other))
        return sym(do(a, b), (sign, *parts))

    return method


def _bare(value: Any) -> Any:
    if isinstance(value, SymInt):
        return int.__int__(value)
    if isinstance(value, SymFloat):
        return float.__float__(value)
    if isinstance(value, SymStr):
        return str.__str__(value)
    return value


def _compare(sign: str, do: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if other is None or not isinstance(other, int | float | str):
            return sign == "!="
        return SymBool(do(_bare(self), _bare(other)), (sign, expr(self), expr(other)))

    return method


class _Number:
    """What whole numbers and others have in common."""

    expr: Any

    def __bool__(self) -> bool:
        return TRACER.asked(("truth", self.expr), bool(_bare(self)))

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __neg__(self) -> Any:
        return sym(-_bare(self), ("-", 0, self.expr))

    def __ceil__(self) -> Any:
        return sym(math.ceil(_bare(self)), ("ceil", self.expr))

    def __floor__(self) -> Any:
        return sym(math.floor(_bare(self)), ("floor", self.expr))

    def __trunc__(self) -> Any:
        return sym(int(_bare(self)), ("int", self.expr))

    def __round__(self, digits: int | None = None) -> Any:
        if digits is not None:
            return round(_bare(self), digits)
        return sym(round(_bare(self)), ("round", self.expr))


class SymInt(_Number, int):
    """A whole number with a memory."""

    def __new__(cls, value: int, made: Any) -> "SymInt":
        found = int.__new__(cls, value)
        found.expr = made
        if TRACER is not None:
            TRACER.made(int(value), made)
        return found

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __reduce__(self) -> Any:
        return int, (int.__int__(self),)


class SymFloat(_Number, float):
    """Another number with a memory."""

    def __new__(cls, value: float, made: Any) -> "SymFloat":
        found = float.__new__(cls, value)
        found.expr = made
        return found

    def __hash__(self) -> int:
        return float.__hash__(self)


for _kind in (SymInt, SymFloat):
    for _name, _sign, _do in (
        ("add", "+", operator.add), ("sub", "-", operator.sub), ("mul", "*", operator.mul),
        ("floordiv", "//", operator.floordiv), ("truediv", "/", operator.truediv),
        ("mod", "%", operator.mod), ("pow", "**", operator.pow),
    ):  # fmt: skip
        setattr(_kind, f"__{_name}__", _binary(_sign, _do))
        setattr(_kind, f"__r{_name}__", _binary(_sign, _do, swapped=True))
    for _name, _sign, _do in (
        ("lt", "<", operator.lt), ("le", "<=", operator.le), ("gt", ">", operator.gt),
        ("ge", ">=", operator.ge), ("eq", "==", operator.eq), ("ne", "!=", operator.ne),
    ):  # fmt: skip
        setattr(_kind, f"__{_name}__", _compare(_sign, _do))


class SymStr(str):
    """A text with a memory."""

    expr: Any

    def __new__(cls, value: str, made: Any) -> "SymStr":
        found = str.__new__(cls, value)
        found.expr = made
        return found

    __hash__ = str.__hash__
    __eq__ = _compare("==", operator.eq)
    __ne__ = _compare("!=", operator.ne)

    def __deepcopy__(self, memo: Any) -> "SymStr":
        return self

    def __contains__(self, part: Any) -> bool:
        return TRACER.asked(("within", expr(part), self.expr), str(part) in str.__str__(self))


class SymList(list):  # type: ignore[type-arg]
    """A list with a memory: going through it is a loop of the program."""

    def __init__(self, values: Any, made: Any) -> None:
        super().__init__(values)
        self.expr = made

    def __deepcopy__(self, memo: Any) -> "SymList":
        return self

    def __getitem__(self, index: Any) -> Any:
        value = list.__getitem__(self, index)
        if isinstance(index, slice):
            return value
        return sym(value, ("item", self.expr, expr(index)))

    def __iter__(self) -> Iterator[Any]:
        return (item for _, item in TRACER.walk(self))

    def __contains__(self, value: Any) -> bool:
        plain = list(list.__iter__(self))
        return TRACER.asked(("in", expr(value), self.expr), _bare(value) in plain)

    def __bool__(self) -> bool:
        return TRACER.asked(("truth", self.expr), list.__len__(self) > 0)


def wanted(key: str) -> bool:
    """Whether a text under this name may bear on a shape."""
    return not any(part in key for part in _ACTS)
