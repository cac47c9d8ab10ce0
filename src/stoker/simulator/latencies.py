"""The moments of a simulated run as a scrape would have told them: rates and latencies over the last
seconds."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from stoker.fleet.points import QUANTILES, Point
from stoker.traffic.records import RequestRecord
from stoker.traffic.run import Moment

RATES = ("prompt_tokens_rate", "generation_tokens_rate", "preemptions_rate")
ENOUGH = 4000  # values that quantiles are taken of: of more, each second, third … one


class _Seen:
    """Values with the times at which they were seen."""

    def __init__(self, found: Iterator[tuple[float, float]]) -> None:
        rows = sorted(found)
        self._at, self._values = array("d", (at for at, _ in rows)), array("d", (one for _, one in rows))

    def quantiles(self, begin: float, end: float) -> dict[str, float | None]:
        """Of those after `begin`, up to `end`; None where nothing was seen."""
        first, last = bisect_right(self._at, begin), bisect_right(self._at, end)
        found = sorted(self._values[first : last : max(1, (last - first) // ENOUGH)])
        return {
            name: found[min(len(found) - 1, int(share * len(found)))] if found else None
            for name, share in QUANTILES.items()
        }


def points(moments: Sequence[Moment], records: Sequence[RequestRecord], span: float) -> list[Point]:
    """The fleet's points, at seconds from the start, with rates and latencies of the last `span` seconds.

    Of a run without its records latencies stay as they are.
    """
    firsts = _Seen(_firsts(records))
    gaps = _Seen(_gaps(records))
    out: list[Point] = []
    begin = 0
    for number, moment in enumerate(moments):
        while moments[begin].at <= moment.at - span:
            begin += 1
        values: dict[str, Any] = _rates(moments[max(0, begin - 1) : number + 1], span)
        for name, seen in (("ttft", firsts), ("itl", gaps)) if records else ():
            found = seen.quantiles(moment.at - span, moment.at)
            values |= {f"{name}_{label}": value for label, value in found.items()}
        out.append(replace(moment.whole, at=moment.at, **values))
    return out


def _firsts(records: Sequence[RequestRecord]) -> Iterator[tuple[float, float]]:
    for one in records:
        if one.first_token is not None and one.ttft is not None:
            yield one.first_token, one.ttft


def _gaps(records: Sequence[RequestRecord]) -> Iterator[tuple[float, float]]:
    for one in records:
        for before, at in pairwise(one.times):
            yield at, at - before


def _rates(moments: Sequence[Moment], span: float) -> dict[str, float | None]:
    """Means over the moments, each of which tells the rate since the one before."""
    first = moments[-1].at - span
    out: dict[str, float | None] = {}
    for name in RATES:
        total = seconds = 0.0
        for before, one in pairwise(moments):
            rate, took = getattr(one.whole, name), one.at - max(before.at, first)
            if rate is not None and took > 0:
                total += rate * took
                seconds += took
        out[name] = total / seconds if seconds else getattr(moments[-1].whole, name)
    return out
