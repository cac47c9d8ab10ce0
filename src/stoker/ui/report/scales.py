"""Axes: from values to places in a drawing, and where they carry figures."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from stoker.ui.report.figures import Unit

_STEPS = (1, 2, 2.5, 5, 10)
_CLOCK = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_EDGE = 1e-9


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis. label: what stands there, with its unit in words."""

    label: str
    low: float
    high: float
    unit: Unit = "number"
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high one; held within."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        found = (self._scaled(value) - low) / (high - low) if high > low else 0.0
        return min(1.0, max(0.0, found))

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, self.low if self.low > 0 else 1e-9)) if self.log else value

    def ticks(self, most: int = 6) -> list[float]:
        """Round values along it."""
        return log_ticks(self.low, self.high, most) if self.log else self._linear(most)

    def _linear(self, most: int) -> list[float]:
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        if self.unit == "clock":
            step = next((float(one) for one in _CLOCK if span / one <= most), span)
        else:
            step = _step(span / most)
        first = math.ceil(self.low / step - _EDGE)
        return [n * step for n in range(first, int(self.high / step + _EDGE) + 1)]


def _step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(one * power for one in _STEPS if one * power >= least * (1 - _EDGE))


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Decades; with 2 and 5 between them, where these are few; equal steps where there is hardly one."""
    if high / low < 5:
        step = _step((high - low) / most)
        return [n * step for n in range(math.ceil(low / step - _EDGE), int(high / step + _EDGE) + 1)]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for parts in ((1, 2, 5), (1, 3), (1,)):
        found = [part * 10.0**power for power in decades for part in parts]
        found = [one for one in found if low * (1 - _EDGE) <= one <= high * (1 + _EDGE)]
        if len(found) <= most + 1:
            return found
    return found[:: math.ceil(len(found) / most)]


def from_zero(label: str, values: Iterable[float], unit: Unit = "number", least: float = 0.0) -> Axis:
    """An axis from zero to a round value above all values."""
    most = max([*values, least], default=1.0) or 1.0
    step = _step(most / 4)
    return Axis(label, 0.0, step * math.ceil(most / step - _EDGE), unit)


def logarithmic(label: str, values: Iterable[float], unit: Unit = "s") -> Axis:
    """A logarithmic axis around all values above zero, half a decade wide at least."""
    known = [one for one in values if one > 0]
    low, high = (min(known), max(known)) if known else (0.001, 1.0)
    middle = math.sqrt(low * high)
    low, high = min(low / 1.1, middle / 1.8), max(high * 1.1, middle * 1.8)
    return Axis(label, low, high, unit, log=True)


def around(label: str, low: float, high: float, unit: Unit = "number") -> Axis:
    """An axis that holds what lies from low to high, with some air; of one value, around it."""
    air = 0.04 * (high - low) or 0.25 * abs(high) or 0.5
    return Axis(label, max(0.0, low - air) if low >= 0 else low - air, high + air, unit)
