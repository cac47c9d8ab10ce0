"""Objectives of a load test: bounds that a request keeps or not, and what share of requests is to keep them.

`ttft` bounds the time to first token and `e2e` the whole answer, both from when the request was due; `itl`
bounds a request's mean time between tokens, which is its time per output token. A failed request keeps none.
"""

from dataclasses import dataclass, fields

from stoker.bounds import shown
from stoker.traffic.records import RequestRecord
from stoker.units import Seconds

SHARE = 0.99  # as in the alerts that `stoker render` writes
_NAMES = "ttft, itl, e2e"
_ALIASES = {"tpot": "itl", "e2el": "e2e"}


@dataclass(frozen=True, slots=True)
class LatencyObjectives:
    """Bounds in seconds; None where there is none."""

    ttft: float | None = None
    itl: float | None = None
    e2e: float | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, one.name) is not None for one in fields(self))

    def kept_by(self, record: RequestRecord) -> bool:
        """Whether a request was answered within all bounds."""
        return record.ok and not self.broken_by(record)

    def broken_by(self, record: RequestRecord) -> tuple[str, ...]:
        """The bounds that an answered request broke."""
        seen = {"ttft": record.ttft, "itl": record.tpot, "e2e": record.e2e}
        return tuple(
            name
            for name, value in seen.items()
            if value is not None and (bound := getattr(self, name)) is not None and value > bound
        )

    def __str__(self) -> str:
        set_ = [(one.name, getattr(self, one.name)) for one in fields(self)]
        return ",".join(f"{name}={Seconds(value)}" for name, value in set_ if value is not None)


def parse(text: str) -> LatencyObjectives:
    """Reads `ttft=1s,itl=50ms,e2e=20s`. Raises: ValueError, saying what is expected."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        name = _ALIASES.get(name.strip(), name.strip())
        if not equals or name not in _NAMES.split(", "):
            raise ValueError(f"{shown(part)} is no objective: expected {_NAMES} with a time, such as ttft=1s")
        if name in found:
            raise ValueError(f"{name} is given twice")
        seconds = float(Seconds.parse(value.strip()))
        if not seconds:
            raise ValueError(f"{name}=0 can be kept by nobody")
        found[name] = seconds
    return LatencyObjectives(**found)
