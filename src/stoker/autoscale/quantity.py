"""Quantities of Kubernetes as whole thousandths, which is what the HPA's controller counts in.

Source: k8s.io/apimachinery/pkg/api/resource, Quantity.MilliValue and its canonical form.
"""

import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

MOST = 2**63 - 1  # of an int64
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_FORM = re.compile(
    r"([+-]?(?:[0-9]{1,60}\.?[0-9]{0,60}|\.[0-9]{1,60}))(?:([eE][+-]?[0-9]{1,3})|([numkMGTPE]?|[KMGTPE]i))"
)
_SUFFIXES = (("E", 21), ("P", 18), ("T", 15), ("G", 12), ("M", 9), ("k", 6), ("", 3))


def milli(value: str | int | float) -> int:
    """Thousandths of a quantity such as `5`, `2500m`, `1Gi` or `1e3`, rounded away from zero, as MilliValue
    does.

    Raises: ValueError, for what is no quantity.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return wrapped(value * 1000)
    with localcontext(prec=400):
        nano = _away(_exact(value).scaleb(9))  # the API keeps no more
        return wrapped(int(_away(nano.scaleb(-6))))


def number(value: str | int | float) -> float:
    """A quantity as a float. Raises: ValueError."""
    return float(_exact(value))


def _exact(value: str | int | float) -> Decimal:
    match = _FORM.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"{str(value)[:40]!r} is no quantity such as 5, 2500m or 1Gi")
    exact, exponent, suffix = Decimal(match[1]), match[2], match[3] or ""
    with localcontext(prec=400):
        if exponent:
            return exact.scaleb(int(exponent[1:]))
        if suffix not in _BINARY:
            return exact.scaleb(_DECIMAL[suffix])
        return max(-Decimal(MOST), min(Decimal(MOST), exact * _BINARY[suffix]))


def written(value: int, binary: bool = False) -> str:
    """Thousandths as the API writes a quantity: with no fraction, and the largest suffix that allows it."""
    if value == 0:
        return "0"
    whole = value // 1000
    if binary and value % 1000 == 0 and abs(whole) >= 1024:
        exact = (f"{whole // size}{name}" for name, size in reversed(_BINARY.items()) if whole % size == 0)
        return next(exact, str(whole))
    for suffix, power in _SUFFIXES:
        if value % 10**power == 0:
            return f"{value // 10**power}{suffix}"
    return f"{value}m"


def wrapped(value: int) -> int:
    """A whole number as an int64 holds it: what is too large begins again at the other end."""
    return value if -MOST <= value <= MOST else (value + MOST + 1) % (2 * MOST + 2) - MOST - 1


def _away(value: Decimal) -> Decimal:
    return value.to_integral_value(ROUND_CEILING if value > 0 else ROUND_FLOOR)
