"""Event and Progress: what is reported while something runs. Only `ui` and `cli` turn them into text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stoker.findings import Finding
from stoker.units import Bytes, Seconds

Mark = Literal["ok", "...", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a story: a subject (`weights`, `replica 1`) and what happened to it; a finding says more
    below it."""

    subject: str
    text: str
    mark: Mark = "ok"
    took: Seconds | None = None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something is. `total` is None where nobody knows; `rate` is per second, in the unit of
    `done`."""

    subject: str
    text: str
    done: Bytes | None = None
    total: Bytes | None = None
    rate: float | None = None

    @property
    def left(self) -> Seconds | None:
        """Estimated seconds until done, where total and rate are known."""
        if self.done is None or self.total is None or not self.rate:
            return None
        return Seconds(max(0.0, (self.total - self.done) / self.rate))


Report = Callable[[Event | Progress], None]


def silent(_: Event | Progress) -> None:
    """A Report that drops everything."""
