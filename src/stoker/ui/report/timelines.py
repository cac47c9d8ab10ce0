"""A run in the course of time: what was due and done, what waited, memory, tokens, first tokens, failures."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain, islice, repeat

from stoker.traffic.measures import quantile
from stoker.traffic.records import RequestRecord
from stoker.traffic.run import Moment, Run
from stoker.ui.report.charts import Chart, Hue, Mark, Point, Series, Span
from stoker.ui.report.scales import Axis, from_zero, logarithmic

BINS = 240  # of a run at most
ROWS = 60  # of a table
DOTS = 1500
Line = tuple[str, Hue, list[Point]]


class Timelines:
    """The charts of one run over its time."""

    def __init__(self, run: Run) -> None:
        self._run, self._records = run, run.records
        self.seconds = _length(run)
        self._width = max(1.0, math.ceil(self.seconds / BINS))
        self._count = max(1, math.ceil(self.seconds / self._width))
        self._x = Axis("time from the start of the test", 0.0, self._count * self._width, "clock")

    def charts(self) -> list[Chart]:
        """Those that the run has figures for."""
        if not self._records and not self._run.timeline:
            return []
        found = [
            self._rates(),
            self._queues(),
            self._replicas(),
            self._tokens(),
            self._first_tokens(),
            self._gaps(),
            self._memory(),
        ]
        return [one for one in (*found, self._preemptions()) if one is not None]

    def _rates(self) -> Chart | None:
        if not self._records:
            return None
        done = [one for one in self._records if one.ok]
        failed = [one for one in self._records if one.failure and one.failure.kind != "cancelled"]
        lines: list[Line] = [
            ("due", "dim", self._per_second((one.scheduled, 1) for one in self._records)),
            ("completed", "a", self._per_second((one.last, 1) for one in done)),
        ]
        if failed:
            lines.append(("failed, by when due", "c", self._per_second((one.scheduled, 1) for one in failed)))
        return self._chart("Requests", "Requests that were due and completed a second.", "requests/s", lines)

    def _queues(self) -> Chart:
        lines: list[Line] = [("in flight", "a", self._in_flight())] if self._records else []
        told: list[Line] = [
            ("running in the engine", "d", self._told("running")),
            ("waiting in the engine", "b", self._told("waiting")),
        ]
        lines += [one for one in told if one[2]]
        says = "Requests in flight as the client sees it, running and waiting in the engines."
        return self._chart("Requests at once", says, "requests", lines)

    def _replicas(self) -> Chart | None:
        """How many there were, where their number changed."""
        told = self._told("ready")
        if len({value for _, value in told}) < 2:
            return None
        lines: list[Line] = [("ready", "a", told), ("asked for", "dim", self._told("wanted"))]
        return self._chart("Replicas", "Replicas that were ready, and asked for.", "replicas", lines)

    def _tokens(self) -> Chart:
        lines: list[Line] = []
        if self._records:
            tokens = (pair for one in self._records for pair in one.tokens)
            lines.append(("out, to clients", "a", self._per_second(tokens)))
        told = self._told("generation_tokens_rate")
        if told:
            lines.append(("out, by the engine's count", "d", told))
        return self._chart("Output tokens", "Tokens of answers a second.", "tokens/s", lines)

    def _first_tokens(self) -> Chart | None:
        """Each request's time to first token, where it was due; failures where they came."""
        seen = [(one.scheduled, one.ttft) for one in self._records if one.ttft is not None and one.ok]
        failed = [one for one in self._records if one.failure and one.failure.kind != "cancelled"]
        if not seen and not failed:
            return None
        bound = self._run.objectives.ttft
        y = logarithmic("time to first token", [value for _, value in seen] + ([bound] if bound else []), "s")
        shown = _thinned(seen, DOTS)
        series = [Series("a request", "a", shown, "dots")]
        if failed:
            crosses = [(one.scheduled, y.high) for one in _thinned(failed, DOTS // 3)]
            series.append(Series("failed", "c", crosses, "crosses"))
        marks = (Mark("objective", bound),) if bound else ()
        more = f" {len(shown):,} of {len(seen):,} are shown." if len(shown) < len(seen) else ""
        return Chart(
            "Time to first token",
            f"A dot a request, where it was due.{more}",
            self._x,
            y,
            tuple(series),
            ("time", "p50", "slowest", "failed"),
            tuple(self._first_rows(seen, failed)),
            ("clock", "s", "s", "number"),
            marks,
            self._spans(),
        )

    def _first_rows(
        self, seen: Sequence[tuple[float, float]], failed: Sequence[RequestRecord]
    ) -> Iterable[tuple[float | None, ...]]:
        width = self._x.high / min(ROWS, self._count)
        for n in range(min(ROWS, self._count)):
            start, end = n * width, (n + 1) * width
            here = sorted(value for at, value in seen if start <= at < end)
            gone = sum(start <= one.scheduled < end for one in failed)
            middle = here[len(here) // 2] if here else None
            yield start, middle, here[-1] if here else None, float(gone)

    def _gaps(self) -> Chart | None:
        """How long tokens took to follow each other, by when they came."""
        bins: list[list[float]] = [[] for _ in range(self._count)]
        for one in self._records:
            moments = chain.from_iterable(repeat(at, count) for at, count in one.tokens)
            for at, gap in zip(islice(moments, 1, None), one.gaps(), strict=True):
                if 0 <= at < self._x.high:
                    bins[int(at / self._width)].append(gap)
        if not any(bins):
            return None
        ordered = [sorted(one) for one in bins]
        lines: list[Line] = [
            ("p50", "a", self._quantiles(ordered, 0.5)),
            ("p99", "b", self._quantiles(ordered, 0.99)),
        ]
        values = [value for _, _, points in lines for _, value in points if value is not None]
        says = "Times between tokens that follow each other, by when they came."
        y = from_zero("inter-token latency", values, "s")
        return self._chart("Inter-token latency", says, y.label, lines, y)

    def _quantiles(self, ordered: Sequence[Sequence[float]], share: float) -> list[Point]:
        """A quantile of each bin, in its middle; a gap where nothing was observed."""
        return [
            ((n + 0.5) * self._width, quantile(one, share) if one else None) for n, one in enumerate(ordered)
        ]

    def _memory(self) -> Chart | None:
        lines: list[Line] = [("KV cache in use", "d", self._told("kv_cache_usage"))]
        hits = self._told("prefix_hit_share")
        if hits:
            lines.append(("prefix cache hits", "a", hits))
        if not lines[0][2]:
            return None
        y = Axis("share", 0.0, 1.0, "%")
        return self._chart("KV cache", "The share of the engines' KV caches in use.", "share", lines, y)

    def _preemptions(self) -> Chart | None:
        told = self._told("preemptions_rate")
        if not any(value for _, value in told):
            return None
        lines: list[Line] = [("preemptions", "c", told)]
        return self._chart("Preemptions", "Requests that lost their memory a second.", "a second", lines)

    def _chart(
        self,
        title: str,
        says: str,
        label: str,
        lines: list[Line],
        y: Axis | None = None,
    ) -> Chart:
        values = [value for _, _, points in lines for _, value in points if value is not None]
        series = tuple(Series(name, hue, points) for name, hue, points in lines)
        return Chart(
            title,
            says,
            self._x,
            y or from_zero(label, values),
            series,
            ("time", *(name for name, _, _ in lines)),
            tuple(_rows([points for _, _, points in lines])),
            spans=self._spans(),
        )

    def _spans(self) -> tuple[Span, ...]:
        window = self._run.window
        found = (Span("warm-up", 0.0, window.start), Span("cool-down", window.end, self._x.high))
        return tuple(one for one in found if one.end - one.start > 0.2)

    def _per_second(self, pieces: Iterable[tuple[float | None, float]]) -> list[Point]:
        """How much came a second, in the middle of each bin."""
        sums = [0.0] * self._count
        for at, amount in pieces:
            if at is not None and 0 <= at < self._x.high:
                sums[int(at / self._width)] += amount
        return [((n + 0.5) * self._width, value / self._width) for n, value in enumerate(sums)]

    def _in_flight(self) -> list[Point]:
        """Requests under way at the end of each bin."""
        moves = [0] * (self._count + 1)
        for one in self._records:
            if one.sent is not None and one.last is not None:
                moves[min(self._count, max(0, int(one.sent / self._width)))] += 1
                moves[min(self._count, max(0, int(one.last / self._width)))] -= 1
        return [((n + 1) * self._width, float(v)) for n, v in enumerate(accumulate(moves[:-1]))]

    def _told(self, name: str) -> list[Point]:
        """What the engines told; a gap where they told nothing. Empty, where they never did."""
        get: Callable[[Moment], float | None] = lambda moment: getattr(moment.whole, name)  # noqa: E731
        points = [(one.at, get(one)) for one in self._run.timeline if 0 <= one.at <= self._x.high]
        return _thinned(points, BINS) if any(value is not None for _, value in points) else []


def _length(run: Run) -> float:
    """Seconds from the start to what came last."""
    last = max((one.last or one.scheduled for one in run.records), default=0.0)
    told = max((one.at for one in run.timeline), default=0.0) if not run.records else 0.0
    return max(last, told, run.window.end if run.window.end < math.inf else 0.0, 1.0)


def _thinned(values: Sequence, most: int) -> list:  # type: ignore[type-arg]
    """So many of them, evenly."""
    step = max(1, math.ceil(len(values) / most))
    return list(values[::step])


def _rows(lines: Sequence[Sequence[Point]]) -> Iterable[tuple[float | None, ...]]:
    """A table of lines that do not share their points: of each line, the value nearest before."""
    whole = max(lines, key=len, default=())
    for at, _ in _thinned(whole, ROWS):
        yield at, *(_nearest(points, at) for points in lines)


def _nearest(points: Sequence[Point], at: float) -> float | None:
    from bisect import bisect_left

    if not points:
        return None
    place = bisect_left(points, at, key=lambda point: point[0])
    near = points[max(0, place - 1) : place + 1]
    return min(near, key=lambda point: abs(point[0] - at))[1] if near else None
