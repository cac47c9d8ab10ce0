"""Values of vLLM's options: whether one fits its kind, and how it is written on a command line."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stoker.bounds import DIGITS, read_json
from stoker.units import Tokens


def check_bool(value: Any) -> str | None:
    """None for true and false."""
    return None if isinstance(value, bool) else "expected true or false"


def check_int(value: Any) -> str | None:
    """None for a whole number of at most 64 bits, or text that is one."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | str)
        or (isinstance(value, str) and len(value) > DIGITS)
    ):
        return "expected a whole number"
    try:
        return None if abs(int(value)) < 2**63 else "expected a whole number of at most 64 bits"
    except ValueError:
        return "expected a whole number"


def is_number(text: str) -> bool:
    """Whether text is a finite number."""
    try:
        return len(text) <= DIGITS and math.isfinite(float(text))
    except ValueError:
        return False


def check_float(value: Any) -> str | None:
    """None for a finite number, or text that is one."""
    fits = isinstance(value, int | float | str) and not isinstance(value, bool) and is_number(str(value))
    return None if fits else "expected a number"


def check_text(value: Any) -> str | None:
    """None for text or a whole number; a number with a point may have lost zeros already."""
    if isinstance(value, float):
        return "expected text: put it in quotes, as a number loses its zeros"
    return None if isinstance(value, str | int) and not isinstance(value, bool) else "expected text"


CHECKS: Mapping[str, Callable[[Any], str | None]] = {
    "bool": check_bool,
    "int": check_int,
    "float": check_float,
    "str": check_text,
}


def check_choice(value: Any, choices: Sequence[str], folds: bool) -> str | None:
    """None for one of the choices; with `folds`, whatever its case and with dashes for underscores."""
    text = str(value).lower().replace("-", "_") if folds else str(value)
    return (
        None if text in choices and not isinstance(value, bool) else f"expected one of {', '.join(choices)}"
    )


def check_tokens(value: Any, auto: bool, most: int = 2**31) -> str | None:
    """None for a token count such as 8192, 32K (32768) or 32k (32000), and for `auto` where it is taken."""
    if auto and str(value).lower() in ("auto", "-1"):
        return None
    try:
        count = 0 if isinstance(value, bool | float) else Tokens.parse(_plain(value))
    except ValueError:
        count = Tokens(0)
    if count > most:
        return f"expected at most {most:,}"
    return None if count > 0 else f"expected a count such as 8192, 32K or 32k{', or auto' * auto}"


def check_json(value: Any, shape: type[dict[Any, Any]] | type[list[Any]], text: bool) -> str | None:
    """None for a table (or a list, as `shape` says) or JSON text of one; with `text`, for other text too."""
    expected = "a table, or JSON text of one" if shape is dict else "a list, or JSON text of one"
    if isinstance(value, str):
        if text and not value.lstrip().startswith("{"):
            return None
        try:
            value = read_json(value)
        except ValueError as error:
            return f"expected {expected}; this is not valid JSON: {error}"
    return None if isinstance(value, shape) or (text and value is not None) else f"expected {expected}"


def word(value: Any) -> str:
    """One value as one word. Numbers with a unit print plain: Tokens 32K is 32768."""
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return json.dumps(value) if isinstance(value, bool) else str(_plain(value))


def _plain(value: Any) -> Any:
    """The plain number under a unit."""
    return int(value) if isinstance(value, int) else float(value) if isinstance(value, float) else value


def between(
    kind: str,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> str:
    """A range in words: `a number from 0 to 1`, `a number above 0 and at most 1`, `a whole number, 1 or
    more`."""
    noun = "a whole number" if kind == "int" else "a number"
    if least is not None and most is not None:
        return f"{noun} from {_count(least)} to {_count(most)}"
    limits = (
        ("", least, " or more"),
        ("above ", above, ""),
        ("at most ", most, ""),
        ("below ", below, ""),
    )
    said = [f"{before}{_count(limit)}{after}" for before, limit, after in limits if limit is not None]
    return f"{noun}{',' * (least is not None)} {' and '.join(said)}" if said else noun


def _count(number: float) -> str:
    return f"{int(number):,}" if number == int(number) else f"{number:g}"
