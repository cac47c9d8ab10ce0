"""Typed fields out of a JSON body, as forgiving as pydantic is for vLLM: `5.0` and `"5"` are whole
numbers."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from stoker.targets.simulated.refusals import Problem, invalid, problem

_YES = (True, 1, "true", "1", "yes", "y", "on", "t")
_NO = (False, 0, "false", "0", "no", "n", "off", "f")
_WHOLE = "Input should be a valid integer"
_NUMBER = "Input should be a valid number"
_BOOLEAN = "Input should be a valid boolean"
_TEXT = "Input should be a valid string"
_MOST_TEXTS = 4  # vLLM's VLLM_MAX_STOP_STRINGS
_LIST = "Input should be a valid list"


class Fields:
    """The fields of one body. What is wrong is kept, and refused by `check`, all of it at once."""

    def __init__(self, body: Mapping[str, Any], place: str = "body") -> None:
        self.body = body
        self.problems: list[Problem] = []
        self._place = place

    def check(self) -> None:
        """Raises: Refused (400), if a field read so far is wrong."""
        if self.problems:
            raise invalid(self.problems)

    def wrong(self, kind: str, name: str, text: str, value: Any, **context: Any) -> None:
        """Keeps a problem with a field."""
        self.problems.append(problem(kind, f"{self._place}.{name}", text, value, **context))

    def whole(self, name: str, default: int | None = None, *, nullable: bool = True) -> int | None:
        """A whole number. null is none where the field may be null."""
        value = self.body.get(name, default)
        if type(value) is int or (value is None and nullable):
            return value
        if isinstance(value, str):
            try:
                return int(value)
            except ValueError:
                self.wrong("int_parsing", name, f"{_WHOLE}, unable to parse string as an integer", value)
        elif isinstance(value, float) and not isfinite(value):
            self.wrong("finite_number", name, "Input should be a finite number", value)
        elif isinstance(value, float) and value != int(value):
            self.wrong("int_from_float", name, f"{_WHOLE}, got a number with a fractional part", value)
        elif isinstance(value, bool | float):
            return int(value)
        else:
            self.wrong("int_type", name, _WHOLE, value)
        return default

    def bounded(self, name: str, low: int, high: int) -> int | None:
        """A whole number between two, or null."""
        value = self.whole(name)
        if value is not None and value > high:
            text = f"Input should be less than or equal to {high}"
            self.wrong("less_than_equal", name, text, value, le=high)
        elif value is not None and value < low:
            text = f"Input should be greater than or equal to {low}"
            self.wrong("greater_than_equal", name, text, value, ge=low)
        return value

    def number(self, name: str) -> float | None:
        """A number, not always a finite one, or null."""
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, int | float | str):
            try:
                return float(value)
            except (ValueError, OverflowError):
                self.wrong("float_parsing", name, f"{_NUMBER}, unable to parse string as a number", value)
        else:
            self.wrong("float_type", name, _NUMBER, value)
        return None

    def flag(self, name: str, default: bool = False, *, nullable: bool = True) -> bool:
        """A truth value; null is false where the field may be null."""
        value = self.body.get(name, default)
        if value is False or value is True:
            return value
        if value is None and nullable:
            return False
        if isinstance(value, bool | int | float | str):
            known = value.lower() if isinstance(value, str) else value
            if known in _YES or known in _NO:
                return known in _YES
            self.wrong("bool_parsing", name, f"{_BOOLEAN}, unable to interpret input", value)
        else:
            self.wrong("bool_type", name, _BOOLEAN, value)
        return default

    def text(self, name: str) -> str | None:
        """A text or null."""
        value = self.body.get(name)
        if value is None or isinstance(value, str):
            return value
        self.wrong("string_type", name, _TEXT, value)
        return None

    def texts(self, name: str) -> tuple[str, ...]:
        """One text, a list of them, or null."""
        value = self.body.get(name)
        if value is None or isinstance(value, str):
            return () if value is None else (value,)
        self.wrong("string_type", name, _TEXT, value)
        if not isinstance(value, list):
            self.wrong("list_type", name, _LIST, value)
            return ()
        odd = [(number, item) for number, item in enumerate(value) if not isinstance(item, str)]
        for number, item in odd:
            self.wrong("string_type", f"{name}.{number}", _TEXT, item)
        if len(value) > _MOST_TEXTS:
            text = f"List should have at most {_MOST_TEXTS} items after validation, not {len(value)}"
            sizes = {"field_type": "List", "max_length": _MOST_TEXTS, "actual_length": len(value)}
            self.wrong("too_long", name, text, value, **sizes)
        elif not odd:
            self.problems.pop()
        return () if odd else tuple(value)

    def wholes(self, name: str) -> list[int] | None:
        """A list of whole numbers, or null."""
        value = self.body.get(name)
        if value is None:
            return None
        if not isinstance(value, list):
            self.wrong("list_type", name, _LIST, value)
            return None
        items = Fields({str(number): item for number, item in enumerate(value)}, f"{self._place}.{name}")
        found = [items.whole(str(number), nullable=False) for number in range(len(value))]
        self.problems += items.problems
        return [number for number in found if number is not None]
