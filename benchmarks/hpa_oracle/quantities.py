"""Kubernetes quantities: read, as milli-values, as floats, and written as the API writes them."""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from benchmarks.hpa_oracle.golang import MAX_INT64, int64

SHAPE = re.compile(r"([+-]?)([0-9]*)\.?([0-9]*)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?[0-9]+)")
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
LETTERS = {power: letter for letter, power in DECIMAL.items()}
BINARY_LETTERS = {0: ""} | {power: letter for letter, power in BINARY.items()}
MOST_DIGITS = 18  # of a number that fits an int64 for certain; longer ones are kept another way


@dataclass(frozen=True)
class Quantity:
    """A quantity as it is once the API has written it: mantissa * 10**power (or 1024**power where binary)."""

    mantissa: int
    power: int
    binary: bool

    @property
    def exact(self) -> Fraction:
        """Its value."""
        return self.mantissa * Fraction(1024 if self.binary else 10) ** self.power


@lru_cache(maxsize=100_000)
def read(text: str) -> Quantity:
    """Reads a quantity and brings it to the form in which the API hands it on; finer than nano is rounded up,
    away from zero. Raises: ValueError, if it is none."""
    found = SHAPE.fullmatch(text)
    if not found or not (found[2] or found[3]):
        raise ValueError(f"no quantity: {text!r}")
    sign, whole, part, suffix = found.groups()
    number = Fraction(int(whole + part or "0"), 10 ** len(part))
    number *= Fraction(1024) ** BINARY[suffix] if suffix in BINARY else Fraction(10) ** _power(suffix)
    nano = away_from_zero(number * 10**9)
    if suffix in BINARY and nano > MAX_INT64 * 10**9:
        nano = MAX_INT64 * 10**9
    return _canonical(-nano if sign == "-" else nano, suffix in BINARY)


def _power(suffix: str) -> int:
    return DECIMAL[suffix] if suffix in DECIMAL else int(suffix[1:])


def _canonical(nano: int, binary: bool) -> Quantity:
    whole, rest = divmod(nano, 10**9)
    if binary and not rest and abs(whole) >= 1024:
        return _shortest(whole, 0, 1024, binary=True)
    short = _shortest(nano, -9, 10, binary=False)
    over = short.power % 3  # suffixes go in steps of a thousand
    return Quantity(short.mantissa * 10**over, short.power - over, binary=False)


def _shortest(number: int, power: int, base: int, *, binary: bool) -> Quantity:
    if not number:
        return Quantity(0, 0, binary=False)
    while number % base == 0:
        number, power = number // base, power + 1
    return Quantity(number, power, binary)


def away_from_zero(number: Fraction) -> int:
    """The next whole number away from zero."""
    return (
        -(-number.numerator // number.denominator) if number > 0 else number.numerator // number.denominator
    )


@lru_cache(maxsize=100_000)
def milli_value(text: str) -> int:
    """A quantity in thousandths, an int64: fractions away from zero, what is too large wraps.

    A number of more than 18 digits is kept as a decimal, and of those negative ones are rounded otherwise:
    where a fraction is cut, one is added to what is left, whatever the sign.
    """
    quantity = read(text)
    thousandths = quantity.exact * 1000
    if len(str(abs(quantity.mantissa))) <= MOST_DIGITS or thousandths > 0 or thousandths.denominator == 1:
        return int64(away_from_zero(thousandths))
    return int64(-(-thousandths.numerator // thousandths.denominator) + 1)


@lru_cache(maxsize=100_000)
def approximate_float(text: str) -> float:
    """A quantity as a float, by a product that may be off by a bit: 300m is 300 * 0.001."""
    quantity = read(text)
    if quantity.binary or not quantity.power:
        return float(quantity.exact)
    return float(quantity.mantissa) * float(f"1e{quantity.power}")


@lru_cache(maxsize=100_000)
def write_milli(thousandths: int) -> str:
    """Thousandths as the API writes them: the largest suffix that leaves a whole number."""
    if not thousandths:
        return "0"
    quantity = _canonical(thousandths * 10**6, binary=False)
    return f"{quantity.mantissa}{LETTERS[quantity.power]}"


def write_milli_bytes(thousandths: int) -> str:
    """The same for bytes: Ki, Mi, … where it is a whole number of 1024 bytes or more."""
    quantity = _canonical(thousandths * 10**6, binary=True)
    if not quantity.binary:
        return write_milli(thousandths)
    return f"{quantity.mantissa}{BINARY_LETTERS[quantity.power]}"
