"""Numbers as Go has them on amd64, where they differ from Python's: integers that wrap, division that cuts
towards zero, floats that divide by zero, and what becomes of a float that no integer can hold."""

import math
import re
from fractions import Fraction

MAX_INT32, MIN_INT32 = 2**31 - 1, -(2**31)
MAX_INT64, MIN_INT64 = 2**63 - 1, -(2**63)

UNITS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}  # microseconds
DURATION = re.compile(r"([0-9.]+)(h|ms|us|m|s)")


def int32(number: int) -> int:
    """An integer cut to its low 32 bits, signed."""
    return (number + 2**31) % 2**32 - 2**31


def int64(number: int) -> int:
    """An integer cut to its low 64 bits, signed."""
    return (number + 2**63) % 2**64 - 2**63


def quotient(number: int, by: int) -> int:
    """Integer division that cuts towards zero; Python's rounds down."""
    positive = abs(number) // abs(by)
    return positive if (number < 0) == (by < 0) else -positive


def divided(number: float, by: float) -> float:
    """Float division: by zero it is infinite, and zero by zero is no number."""
    if by != 0:
        return number / by
    if number == 0 or math.isnan(number):
        return math.nan
    return math.copysign(math.inf, number) * math.copysign(1.0, by)


def ceiling(number: float) -> float:
    """The next whole number upwards, as a float; what is not finite stays as it is."""
    return float(math.ceil(number)) if math.isfinite(number) else number


def float_to_int32(number: float) -> int:
    """Cut towards zero; what does not fit, infinite or no number is the smallest int32 (amd64's answer)."""
    if not math.isfinite(number) or not MIN_INT32 <= math.trunc(number) <= MAX_INT32:
        return MIN_INT32
    return math.trunc(number)


def float_to_int64(number: float) -> int:
    """Cut towards zero; what does not fit, infinite or no number is the smallest int64 (amd64's answer)."""
    if not math.isfinite(number) or not MIN_INT64 <= math.trunc(number) <= MAX_INT64:
        return MIN_INT64
    return math.trunc(number)


def microseconds(duration: str) -> int:
    """A flag's duration ("10s", "1m30s", "1.5h") in microseconds."""
    return sum(int(Fraction(amount) * UNITS[unit]) for amount, unit in DURATION.findall(duration))


def clock(seconds: float) -> int:
    """Seconds since 1970 as whole microseconds, so that windows end exactly where they should."""
    return round(seconds * 1_000_000)
