"""Whether the figures of a run that was read from files can be figures at all: finite, and of a size that
there is."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from stoker.bounds import shown
from stoker.traffic.records import RequestRecord
from stoker.traffic.run import Run

LARGEST = 1e15
LATEST = 2.5e11  # epoch seconds: the year 9892


def unsound(run: Run) -> str:
    """The place of the first figure that cannot be, and what it is; empty, where all can."""
    if not 0 <= run.started <= LATEST:
        return f"started: {shown(run.started)}"
    for name in ("summary", "objectives", "share", "server", "generator", "environment"):
        for place, value in _figures(getattr(run, name), name):
            if not _can_be(value):
                return f"{place}: {shown(value)}"
    for moment in run.timeline:
        if any(not _can_be(value) for _, value in _figures(moment, "")):
            return f"timeline, at {moment.at}"
    return next((f"request {one.index}" for one in run.records if not _record_can_be(one)), "")


def _figures(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """Every number in it, with its place."""
    if isinstance(value, int | float):
        yield place, value
    elif is_dataclass(value):
        for one in fields(value):
            yield from _figures(getattr(value, one.name), f"{place}.{one.name}")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _figures(one, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _figures(one, place)


def _can_be(value: float) -> bool:
    return -LARGEST <= value <= LARGEST


def _record_can_be(one: RequestRecord) -> bool:
    moments = (one.scheduled, one.sent, one.first_event, one.last)
    counts = (one.input, one.output, one.cached, one.wanted)
    if not isinstance(one.scheduled, int | float) or not all(
        value is None or (isinstance(value, int | float) and _can_be(value)) for value in (*moments, *counts)
    ):
        return False
    return math.isfinite(math.fsum(one.times)) and (not one.times or _can_be(max(one.times)))
