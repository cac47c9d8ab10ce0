"""Charts drawn as SVG: lines, steps, bars and dots on two axes, with their legend and a table of the same
figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from stoker.ui.report.figures import Unit, figure, short
from stoker.ui.report.html import Html, joined, table, tag
from stoker.ui.report.scales import Axis

WIDTH, HEIGHT = 400, 218
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 22, 34
LETTER = 6.2  # how wide one is, about
Hue = Literal["a", "b", "c", "d", "e", "dim"]
Shape = Literal["line", "dots", "points", "crosses", "bars"]
Point = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """What is drawn in one colour. points: x and y; y None leaves a gap. Without a label it has no place in
    the legend."""

    label: str
    hue: Hue
    points: Sequence[Point]
    shape: Shape = "line"
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A bound: a line over the whole chart at a value of one axis."""

    label: str
    at: float
    axis: Literal["x", "y"] = "y"
    hue: Hue = "c"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of the x axis that is shaded."""

    label: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, and its figures as a table: `head`, and rows of which the first value lies on the axis
    `by`."""

    title: str
    says: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    head: tuple[str, ...] = ()
    rows: tuple[tuple[float | None, ...], ...] = ()
    units: tuple[Unit, ...] = ()
    marks: tuple[Mark, ...] = ()
    spans: tuple[Span, ...] = ()
    by: Literal["x", "y"] = "x"


def drawn(chart: Chart, name: str) -> Html:
    """The chart as a figure: title, legend, drawing, and its table to open. name: unique on the page."""
    marks = [
        tag("i", one.label, " ", tag("b"), class_=f"k-{one.hue}{' dashed' if one.dashed else ''}")
        for one in chart.series
        if one.label
    ]
    marks += [tag("i", one.label, class_=f"k-{one.hue} dashed") for one in chart.marks]
    return tag(
        "figure",
        tag("figcaption", tag("h3", chart.title), tag("p", tag("b", class_="at"), marks, class_="legend")),
        _svg(chart, name),
        _details(chart),
        class_="chart",
    )


def _svg(chart: Chart, name: str) -> Html:
    parts = (
        *(_span(chart, one) for one in chart.spans),
        *_grid(chart),
        *(_series(chart, one) for one in chart.series),
        *(_mark(chart, one) for one in chart.marks),
        tag("line", class_="cursor", hidden=True),
    )
    axis = chart.x if chart.by == "x" else chart.y
    return tag(
        "svg",
        tag("title", chart.title, id=f"{name}-title"),
        tag("desc", chart.says, id=f"{name}-desc"),
        parts,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        data_by=chart.by if chart.rows else None,
        data_low=f"{axis.low:.9g}",
        data_high=f"{axis.high:.9g}",
        data_log="1" if axis.log else None,
    )


def _x(chart: Chart, value: float) -> float:
    return LEFT + chart.x.place(value) * (WIDTH - LEFT - RIGHT)


def _y(chart: Chart, value: float) -> float:
    return HEIGHT - BOTTOM - chart.y.place(value) * (HEIGHT - TOP - BOTTOM)


def _n(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.1f}".removesuffix(".0")


def _grid(chart: Chart) -> list[Html]:
    """Lines, figures and names of both axes."""
    base = HEIGHT - BOTTOM
    middle = _n((LEFT + WIDTH - RIGHT) / 2)
    return [
        *_rungs(chart),
        *_figures_below(chart),
        tag("line", class_="axis", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base),
        tag("text", chart.y.label, x=2, y=11, class_="name"),
        tag("text", chart.x.label, x=middle, y=HEIGHT - 5, class_="name middle"),
    ]


def _rungs(chart: Chart) -> Iterator[Html]:
    for value in chart.y.ticks(5):
        at = _n(_y(chart, value))
        yield tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at)
        yield tag("text", short(value, chart.y.unit), x=LEFT - 5, y=at, dy="3.5", class_="end")


def _figures_below(chart: Chart) -> Iterator[Html]:
    """Those of the x axis that do not touch the one before."""
    free = 0.0
    for value in chart.x.ticks(7):
        place, text = _x(chart, value), short(value, chart.x.unit)
        if chart.x.log:
            yield tag("line", class_="grid", x1=_n(place), x2=_n(place), y1=TOP, y2=HEIGHT - BOTTOM)
        half = LETTER * len(text) / 2
        if place - half >= free:
            yield tag("text", text, x=_n(place), y=HEIGHT - BOTTOM + 13, class_="middle")
            free = place + half + LETTER


def _span(chart: Chart, span: Span) -> Html:
    start, end = _x(chart, span.start), _x(chart, span.end)
    height = HEIGHT - TOP - BOTTOM
    return tag(
        "g",
        tag("rect", class_="span", x=_n(start), y=TOP, width=_n(max(0.0, end - start)), height=height),
        tag("text", span.label, x=_n(start + 3), y=TOP + 10, class_="spanned")
        if end - start > LETTER * len(span.label)
        else None,
    )


def _mark(chart: Chart, mark: Mark) -> Html:
    if mark.axis == "x":
        at = _n(_x(chart, mark.at))
        return tag("line", class_=f"mark s-{mark.hue}", x1=at, x2=at, y1=TOP, y2=HEIGHT - BOTTOM)
    at = _n(_y(chart, mark.at))
    return tag("line", class_=f"mark s-{mark.hue}", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at)


def _series(chart: Chart, series: Series) -> Html:
    drawn = {"dots": _dots, "points": _dots, "crosses": _crosses, "bars": _bars}.get(series.shape, _line)
    return tag(
        "path",
        d=drawn(chart, series),
        class_=f"{series.shape} {'f' if series.shape == 'bars' else 's'}-{series.hue}"
        + (" dashed" if series.dashed else ""),
    )


def _line(chart: Chart, series: Series) -> str:
    """A line. Points that would not be seen are left out."""
    out: list[str] = []
    pen, before = "M", ""
    for x, y in series.points:
        if y is None:
            pen = "M"
            continue
        here = f"{_n(_x(chart, x))} {_n(_y(chart, y))}"
        if here != before or pen == "M":
            out.append(f"{pen}{here}")
        pen, before = "L", here
    return "".join(out)


def _dots(chart: Chart, series: Series) -> str:
    places = {f"M{_n(_x(chart, x))} {_n(_y(chart, y))}h0" for x, y in series.points if y is not None}
    return "".join(sorted(places))


def _crosses(chart: Chart, series: Series) -> str:
    out = []
    for x, y in series.points:
        if y is not None:
            across, up = _x(chart, x) - 2.5, _y(chart, y) - 2.5
            out.append(f"M{_n(across)} {_n(up)}l5 5m0-5l-5 5")
    return "".join(out)


def _bars(chart: Chart, series: Series) -> str:
    """Bars from each x to the next; the last point only ends the one before."""
    out = []
    base = _y(chart, chart.y.low)
    for (x, y), (after, _) in zip(series.points, series.points[1:], strict=False):
        if y:
            left, right = _x(chart, x), _x(chart, after)
            width = max(0.8, right - left - 0.6)
            out.append(f"M{_n(left)} {_n(base)}V{_n(_y(chart, y))}h{_n(width)}V{_n(base)}z")
    return "".join(out)


def _details(chart: Chart) -> Html | None:
    if not chart.rows:
        return None
    units = chart.units or (chart.x.unit, *[chart.y.unit] * (len(chart.head) - 1))
    rows: list[list[object]] = [
        [figure(value, unit) for value, unit in zip(row, units, strict=True)] for row in chart.rows
    ]
    made = table([*chart.head], rows, frozenset(range(len(chart.head))), data_at=_places(chart))
    return tag("details", tag("summary", "as a table"), made)


def _places(chart: Chart) -> str:
    """Where each row of the table lies on its axis, for the pointer."""
    return " ".join(f"{row[0]:.6g}" for row in chart.rows if row[0] is not None)


def gallery(charts: Sequence[Chart], name: str) -> Html:
    """Charts side by side, as many as there is room for."""
    return tag("div", joined(*(drawn(one, f"{name}{n}") for n, one in enumerate(charts))), class_="charts")
