"""Typed fields out of a JSON body, as forgiving as pydantic for vLLM: `5.0` and `"5"` are whole numbers."""

from collections.abc import Mapping
from typing import Any

from stoker.targets.simulated.refusals import bad_request, invalid

_YES = (True, 1, "true", "1", "yes", "on")
_NO = (False, 0, "false", "0", "no", "off")


def whole(body: Mapping[str, Any], name: str, low: int | None = None) -> int | None:
    """A whole number or None. Raises: Refused (400) for anything else, or below `low`."""
    value = number(body, name)
    if value is None:
        return None
    if value != int(value):
        raise invalid(
            "int_from_float",
            name,
            "Input should be a valid integer, got a number with a fractional part",
            value,
        )
    if low is not None and value < low:
        raise bad_request(f"{name} must be at least {low}, got {int(value)}.", name)
    return int(value)


def number(body: Mapping[str, Any], name: str) -> float | None:
    """A number, a number in quotes, or None. Raises: Refused (400)."""
    value = body.get(name)
    if value is None:
        return None
    try:
        result = float(value) if isinstance(value, int | float | str) else float("nan")
    except (ValueError, OverflowError):
        result = float("nan")
    if result - result != 0:
        raise invalid("number_type", name, "Input should be a valid number", value)
    return result


def flag(body: Mapping[str, Any], name: str) -> bool:
    """A truth value; None and absence are false. Raises: Refused (400)."""
    value = body.get(name)
    if value is None or value in _NO:
        return False
    if value in _YES:
        return True
    raise invalid("bool_parsing", name, "Input should be a valid boolean, unable to interpret input", value)


def texts(body: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """One text or a list of them. Raises: Refused (400)."""
    value = body.get(name)
    if value is None or value == "":
        return ()
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise invalid("list_type", name, "Input should be a valid list", value)
    return tuple(items)


def sampling(body: Mapping[str, Any]) -> None:
    """Checks the sampling parameters that vLLM checks; nothing here uses them. Raises: Refused (400)."""
    whole(body, "seed")
    whole(body, "top_k", -1)
    if (temperature := number(body, "temperature")) is not None and temperature < 0:
        raise bad_request(f"temperature must be non-negative, got {temperature}.", "temperature")
    if (top_p := number(body, "top_p")) is not None and not 0 < top_p <= 1:
        raise bad_request(f"top_p must be in (0, 1], got {top_p}.", "top_p")
