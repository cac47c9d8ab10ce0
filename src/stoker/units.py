"""Quantities that people write with units: parsed once at the edge, printed back as they were read."""

import math
import re
from dataclasses import dataclass
from typing import Any

_BYTE_UNITS = {
    "": 1,
    "B": 1,
    "K": 1000,
    "KB": 1000,
    "KI": 1024,
    "KIB": 1024,
    "M": 1000**2,
    "MB": 1000**2,
    "MI": 1024**2,
    "MIB": 1024**2,
    "G": 1000**3,
    "GB": 1000**3,
    "GI": 1024**3,
    "GIB": 1024**3,
    "T": 1000**4,
    "TB": 1000**4,
    "TI": 1024**4,
    "TIB": 1024**4,
}
_SECOND_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TOKEN_UNITS = {"": 1, "k": 1000, "K": 1024, "m": 1000**2, "M": 1024**2, "g": 1000**3, "G": 1024**3}


_LONGEST = 40  # characters of a quantity: more are digits that nobody counts with


def _text(value: Any, kind: str) -> str:
    """What is to be read as a quantity. Raises: ValueError, for true and false, nothing, lists and tables."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        named = {bool: "true or false", type(None): "nothing", list: "a list", dict: "a table"}
        raise ValueError(f"expected {kind}, not {named.get(type(value), type(value).__name__)}")
    text = str(value).strip() if isinstance(value, str) or abs(value) < 10**_LONGEST else "9" * 99
    if len(text) > _LONGEST:
        raise ValueError(f"expected {kind}, not {len(text)} characters")
    return text


class Bytes(int):
    """A number of bytes: `24GiB`, `500MB`, `1073741824`."""

    @classmethod
    def parse(cls, text: str | int) -> "Bytes":
        """Reads `24GiB`, `24Gi`, `24G` or a plain number. Raises: ValueError, naming the units that exist."""
        match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", _text(text, "a size such as 24GiB"))
        if not match or match[2].upper() not in _BYTE_UNITS:
            raise ValueError(
                f"{text!r} is no size: expected a number with B, KiB, MiB, GiB, TiB (or KB, MB, GB, TB)"
            )
        return cls(round(float(match[1]) * _BYTE_UNITS[match[2].upper()]))

    def __str__(self) -> str:
        value = float(self)
        for unit in ("B", "KiB", "MiB", "GiB"):
            if abs(value) < 1024 or unit == "GiB":
                return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
            value /= 1024
        raise AssertionError

    @property
    def gib(self) -> float:
        """The same number in GiB."""
        return self / 1024**3


class Seconds(float):
    """A duration in seconds: `300`, `5m`, `1h30m`, `50ms`."""

    @classmethod
    def parse(cls, text: str | float) -> "Seconds":
        """Reads `90`, `90s`, `5m`, `1h30m`, `50ms`. Raises: ValueError, naming the units that exist."""
        plain = _text(text, "a duration such as 30s or 1h30m")
        if isinstance(text, int | float):
            value = float(text)
        else:
            parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", plain)
            if not parts or "".join(n + u for n, u in parts) != plain:
                raise ValueError(
                    f"{text!r} is no duration: expected a number with ms, s, m, h or d, such as 30s or 1h30m"
                )
            value = sum(float(n) * _SECOND_UNITS[u] for n, u in parts)
        if not math.isfinite(value):
            raise ValueError(f"{text!r} is no duration: it never ends")
        if value < 0:
            raise ValueError(f"{text!r} is negative: a duration is zero or more")
        return cls(value)

    def __str__(self) -> str:
        value = float(self)
        if value and value < 1:
            return f"{value * 1000:g}ms"
        if value < 60 or value != int(value):
            return f"{value:g}s"
        out = ""
        for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
            count, value = divmod(value, size)
            out += f"{int(count)}{unit}" if count else ""
        return out


class Tokens(int):
    """A number of tokens in vLLM's units: `32K` is 32768, `32k` is 32000.

    Source: vLLM `utils/argparse_utils.py`, human_readable_int.
    """

    @classmethod
    def parse(cls, text: str | int) -> "Tokens":
        """Reads `32768`, `32K`, `32k`, `1M`. Raises: ValueError, naming the units that exist."""
        match = re.fullmatch(
            r"([0-9]+(?:\.[0-9]+)?)([kKmMgG]?)", _text(text, "a token count such as 8192 or 32K")
        )
        if not match:
            raise ValueError(
                f"{text!r} is no token count: expected a whole number, or one with K (1024) or k (1000)"
            )
        value = float(match[1]) * _TOKEN_UNITS[match[2]]
        if value != int(value) or ("." in match[1] and match[2] in "KMG"):
            raise ValueError(
                f"{text!r} is no whole number of tokens: 1.5k is 1500, K and M take whole numbers"
            )
        return cls(int(value))

    def __str__(self) -> str:
        for unit, size in (("M", 1024**2), ("K", 1024), ("k", 1000)):
            if self and self % size == 0:
                return f"{self // size}{unit}"
        return str(int(self))


@dataclass(frozen=True, slots=True)
class Range:
    """How many, from `low` to `high`, both included: `3` or `1..5`."""

    low: int
    high: int

    @classmethod
    def parse(cls, text: str | int) -> "Range":
        """Reads `3` or `1..5`. Raises: ValueError for an empty or a negative range."""
        match = re.fullmatch(
            r"([0-9]+)(?:\s*\.\.\s*([0-9]+))?", _text(text, "a count such as 2, or a range such as 1..5")
        )
        if not match:
            raise ValueError(
                f"{text!r} is no count: expected a whole number such as 2, or a range such as 1..5"
            )
        low = int(match[1])
        high = int(match[2]) if match[2] else low
        if high < low:
            raise ValueError(f"{text!r} is empty: the first number is the smaller one")
        return cls(low, high)

    @property
    def fixed(self) -> bool:
        """Whether both ends are the same number."""
        return self.low == self.high

    def __contains__(self, count: object) -> bool:
        return isinstance(count, int) and self.low <= count <= self.high

    def __str__(self) -> str:
        return str(self.low) if self.fixed else f"{self.low}..{self.high}"
