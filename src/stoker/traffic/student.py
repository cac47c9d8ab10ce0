"""Student's t distribution: how far a mean of few values may lie off, by their number."""

import math
from functools import cache

_TINY = 1e-300
_STEPS = 300  # of the continued fraction: far more than it needs
_HALVINGS = 80


@cache
def quantile(share: float, freedom: float) -> float:
    """The t that a variable of so many degrees of freedom stays within, in both directions, with that
    probability: 2.228 of 95 % and 10."""
    low, high = 0.0, 1.0
    while inside(high, freedom) < share and high < 1e9:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle, freedom) < share else (low, middle)
    return high


def inside(t: float, freedom: float) -> float:
    """The probability that it lies between -t and t."""
    return 1 - _beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function. Source: NIST DLMF 8.17.22, evaluated by Lentz's method."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            d = 1 / _apart(1 + part * d)
            c = _apart(1 + part / c)
            found *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return found


def _apart(value: float) -> float:
    """Never zero, as it is divided by."""
    return value if abs(value) > _TINY else _TINY
