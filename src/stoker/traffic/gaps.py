"""Gaps between the tokens of streams: the steps of an engine as its clients saw them, with what each step
computed. Of several replicas each by itself, where the endpoint says which one answered.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge

from stoker.traffic.records import RequestRecord

TOGETHER = 0.003  # seconds within which tokens are of one step


@dataclass(frozen=True, slots=True)
class Gap:
    """A step as a client saw it: its seconds, and what was computed in it. others: replicas beside it that
    had requests meanwhile, on average."""

    seconds: float
    prefill: int
    sequences: int
    kv: int
    others: float = 0.0

    @property
    def row(self) -> tuple[float, float, float, float]:
        """Its parts, in the order of a profile's."""
        return 1.0, float(self.prefill), float(self.sequences), float(self.kv)


def known(records: Sequence[RequestRecord]) -> bool:
    """Whether all answers say which replica they are of."""
    return all(one.replica for one in records if one.times)


def gaps(records: Sequence[RequestRecord]) -> list[Gap]:
    """Every step that some client saw, once for each stream that it gave a token."""
    groups = by_replica(records)
    busy = [_busy(one) for one in groups]
    out: list[Gap] = []
    for number, one in enumerate(groups):
        others = busy[:number] + busy[number + 1 :]
        for at, gap in _gaps(one):
            beside = sum(_overlap(other, at - gap.seconds, at) for other in others) / gap.seconds
            out.append(replace(gap, others=beside) if beside else gap)
    return out


Spans = list[tuple[float, float]]


def _busy(records: Sequence[RequestRecord]) -> Spans:
    """When a replica had requests, in order."""
    out: Spans = []
    for one in sorted((one for one in records if one.sent is not None and one.times), key=when):
        begin, end = when(one), one.last if one.last is not None else one.times[-1]
        if out and begin <= out[-1][1]:
            out[-1] = out[-1][0], max(end, out[-1][1])
        else:
            out.append((begin, end))
    return out


def _overlap(spans: Spans, begin: float, end: float) -> float:
    """Seconds of it that lie in the spans."""
    found = 0.0
    for place in range(max(0, bisect_right(spans, (begin, math.inf)) - 1), len(spans)):
        first, last = spans[place]
        if first >= end:
            break
        found += max(0.0, min(end, last) - max(begin, first))
    return found


def by_replica(records: Sequence[RequestRecord]) -> list[list[RequestRecord]]:
    """The requests of each replica."""
    out: dict[str, list[RequestRecord]] = {}
    for one in records:
        out.setdefault(one.replica, []).append(one)
    return list(out.values())


def _gaps(records: Sequence[RequestRecord]) -> list[tuple[float, Gap]]:
    """Those of one engine, each with its end.

    Tokens that come together are of one step; a prompt was read in the step that gave its first token. Steps
    that read a part of a prompt alone are seen as slow ones, and trimmed.
    """
    streams = [one for one in records if one.times and one.input]
    events = list(merge(*(_events(one, number) for number, one in enumerate(streams))))
    left = [len(one.times) for one in streams]
    last: dict[
        int, tuple[int, float]
    ] = {}  # of each running stream: the step of its last token, and its time
    out: list[tuple[float, Gap]] = []
    kv = 0
    for step, together in enumerate(_steps(events)):
        fresh = [number for _, number, _ in together if number not in last]
        read = sum((streams[number].input or 0) - (streams[number].cached or 0) for number in fresh)
        running, context = len(last), kv
        for at, number, count in together:
            if number in last and last[number][0] == step - 1 and count == 1:
                out.append((at, Gap(at - last[number][1], read, running, context)))
            kv += count + ((streams[number].input or 0) if number not in last else 0)
            last[number] = step, at
            left[number] -= 1
            if not left[number]:
                del last[number]
                kv -= (streams[number].input or 0) + streams[number].streamed
    return [(at, gap) for at, gap in out if gap.seconds > 0]


Event = tuple[float, int, int]  # when, which stream, how many tokens


def _events(one: RequestRecord, number: int) -> list[Event]:
    return [(at, number, count) for at, count in one.tokens]


def _steps(events: list[Event]) -> Iterator[list[Event]]:
    """Events by steps: those that follow each other closely, and none of a stream twice."""
    together: list[Event] = []
    seen: set[int] = set()
    for event in events:
        if together and (event[0] - together[0][0] > TOGETHER or event[1] in seen):
            yield together
            together, seen = [], set()
        together.append(event)
        seen.add(event[1])
    if together:
        yield together


def when(record: RequestRecord) -> float:
    """When a request was sent; 0 for one that never was."""
    return record.sent or 0.0
