"""Figures as people read them: times, rates, shares; each with its unit."""

from typing import Literal

Unit = Literal["s", "ms", "clock", "%", "tokens", "number", "/s"]


def figure(value: float | None, unit: Unit = "number") -> str:
    """A figure with its unit: `12.3 ms`, `1.20 s`, `99.4 %`, `1,204`. None: `-`."""
    if value is None or value != value:
        return "-"
    if unit in ("s", "ms"):
        return time(value)
    if unit == "clock":
        return clock(value)
    if unit == "%":
        return share(value)
    return number(value)


def share(value: float) -> str:
    """A share in percent: two digits after the point where it is all but one."""
    text = f"{100 * value:.{2 if 0.999 <= value < 1 else 1}f}"
    return f"{text.removesuffix('.0')} %"


def time(seconds: float) -> str:
    """A latency: in milliseconds below a second."""
    if abs(seconds) < 1:
        value = 1000 * seconds
        return f"{value:.{0 if not value else 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0}f} ms"
    return f"{seconds:.2f} s" if abs(seconds) < 100 else f"{seconds:,.0f} s"


def clock(seconds: float) -> str:
    """A moment of a run: `45 s`, `2:05`."""
    if seconds < 100:
        return f"{seconds:g} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def number(value: float) -> str:
    """A number with as many digits as matter."""
    if value and abs(value) < 0.01:
        return f"{value:.2g}"
    if abs(value) < 10 and value != int(value):
        return f"{value:.2f}"
    return f"{value:,.1f}" if abs(value) < 100 and value != int(value) else f"{value:,.0f}"


def short(value: float, unit: Unit) -> str:
    """A figure at an axis: without digits that say nothing."""
    if unit in ("s", "ms"):
        return f"{1000 * value:g} ms" if abs(value) < 1 else f"{value:g} s"
    if unit == "clock":
        return clock(value)
    if unit == "%":
        return f"{100 * value:g} %"
    if abs(value) >= 10_000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value / 1e6:g}M"
    return f"{value:g}"


def milliseconds(seconds: float | None) -> str:
    """A latency in a column of milliseconds."""
    return "-" if seconds is None else f"{1000 * seconds:,.1f}"
