"""The report of runs at several levels of load: capacity in words, throughput against latency, a table."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from stoker.traffic.curve import Curve, Level, kept, merged
from stoker.traffic.measures import Summary
from stoker.ui.report import parts
from stoker.ui.report.charts import Chart, Hue, Mark, Series, Span, gallery
from stoker.ui.report.figures import figure, number
from stoker.ui.report.html import Html, table, tag
from stoker.ui.report.page import page, section, when
from stoker.ui.report.results import capacity_words
from stoker.ui.report.scales import Axis, from_zero, logarithmic

Figure = Callable[[Summary], float | None]
Asked = tuple[str, Hue, Figure]  # label, hue, figure
WIDE = 8  # times between the least and the most, from which an axis is logarithmic
HEAD = ("COMPLETED/S", "TOKENS/S", "TTFT P50", "TTFT P99", "ITL P50", "ITL P99", "E2E P99", "KEPT", "FAILED")


def curve_page(found: Curve) -> str:
    """The whole page."""
    return page(
        f"Load tests of {found.name}",
        _pill(found),
        f"{found.model} · {when(found.started)} · {len(found.levels)} runs, {found.kind}",
        _verdict(found),
        section("Throughput and latency", gallery(charts([("", found)]), "c")),
        section("Level by level", levels(found)),
        tag(
            "div",
            parts.facts("Workload", {n.replace("_", " "): str(v) for n, v in found.workload.items()}),
            parts.environment(found.environment, {"endpoint": found.url, "model": found.model}),
            class_="pair",
        ),
        parts.spec(found.environment),
        parts.definitions(),
    )


def _pill(found: Curve) -> tuple[str, str]:
    capacity = found.capacity
    if capacity is not None and capacity.level is not None:
        unit = "users" if found.axis == "users" else "requests/s"
        color = "good" if all(one.holds for one in found.levels) else "warn"
        return f"{'' if capacity.bounded else 'at least '}{number(capacity.level)} {unit}", color
    return ("no level keeps the objectives", "bad") if capacity is not None else ("measured", "dim")


def _verdict(found: Curve) -> Html:
    """Capacity, and what cannot be believed."""
    lines = [tag("p", one) for one in sentences(found)]
    color = _pill(found)[1]
    return section(
        "Verdict",
        lines,
        class_=f"verdict {color if color != 'dim' else ''}".strip(),
    )


def sentences(found: Curve) -> list[str]:
    """What a curve shows, in words."""
    out = [*capacity_words(found)] or [_highest(found)]
    doubtful = dict.fromkeys(f"{one.level:g}" for one in found.levels if not one.holds)
    if doubtful:
        out.append(f"Runs that spoilt themselves, at {', '.join(doubtful)}, are not to be believed.")
    if found.interrupted:
        out.append("It was interrupted: the capacity is of what was tried until then.")
    return out


def _highest(found: Curve) -> str:
    """The highest level that kept the objectives, where no sweep looked for more."""
    good = [one for one in found.levels if kept(one, found.share) and one.holds]
    if not found.objectives:
        return "No objectives were given, so that there is no capacity to speak of: --slo sets them."
    if not good:
        return f"None of these levels kept the objectives, {found.objectives}."
    unit = "users" if found.axis == "users" else "requests/s"
    best = f"{good[-1].level:g} {unit}"
    return f"{best} is the highest of these levels that kept the objectives, {found.objectives}."


def charts(curves: Sequence[tuple[str, Curve]]) -> list[Chart]:
    """The charts, of one curve or of two; the first of a pair is its label."""
    first = curves[0][1]
    made = [
        _chart(
            curves,
            "Time to first token against load",
            "time to first token",
            [("p50", "a", lambda s: s.ttft.p50), ("p99", "b", lambda s: s.ttft.p99)],
            bound=first.objectives.ttft,
        ),
        _chart(
            curves,
            "Inter-token latency against load",
            "inter-token latency",
            [("p50", "a", lambda s: s.itl.p50), ("p99", "b", lambda s: s.itl.p99)],
            bound=first.objectives.itl,
        ),
        _chart(curves, "Output tokens against load", "tokens/s", [("out", "d", lambda s: s.output_rate)]),
        _chart(
            curves,
            "Requests completed against load",
            "requests/s",
            [("completed", "a", lambda s: s.completed), ("goodput", "e", lambda s: s.goodput)],
        ),
    ]
    if any(one.summary.attainment is not None for _, found in curves for one in found.levels):
        kept_ = _chart(
            curves, "Objectives kept", "share of requests", [("kept", "e", lambda s: s.attainment)]
        )
        y = Axis("share of requests", 0.0, 1.0, "%")
        made.append(replace(kept_, y=y, units=(), marks=(*kept_.marks, Mark("asked", first.share))))
    return [*made, _throughput(curves)]


def _chart(
    curves: Sequence[tuple[str, Curve]],
    title: str,
    label: str,
    asked: list[Asked],
    bound: float | None = None,
) -> Chart:
    unit = "users" if curves[0][1].axis == "users" else "requests/s due"
    series, dots, values, xs = [], [], [], []
    for n, (name, found) in enumerate(curves):
        for text, hue, get in asked:
            points = [(level, _mean(get, ones)) for level, ones in merged(found.levels)]
            known = [(x, y) for x, y in points if y is not None]
            if known:
                series.append(Series(f"{name} {text}".strip(), hue, known, dashed=n > 0))
                each = [(one.level, get(one.summary)) for one in found.levels]
                dots.append(Series("", hue, each, "points"))
            values += [y for _, y in known]
            xs += [x for x, _ in known]
    y = _axis(label, [*values, *([bound] if bound else [])])
    marks = ((Mark("objective", bound),) if bound else ()) + _capacities(curves)
    rows = tuple((x, *(dict(one.points).get(x) for one in series)) for x in sorted(set(xs)))
    return Chart(
        title,
        f"{title}, run by run.",
        from_zero(unit, xs),
        y,
        (*series, *dots),
        (unit, *(one.label for one in series)),
        rows,
        marks=marks,
        spans=_intervals(curves),
    )


def _axis(label: str, values: Sequence[float]) -> Axis:
    """From zero; logarithmic for latencies that lie far apart."""
    latency = "latency" in label or "time" in label
    wide = latency and max(values, default=0.0) > WIDE * min(values, default=1.0)
    return logarithmic(label, values) if wide else from_zero(label, values, "s" if latency else "number")


def _mean(get: Figure, ones: Sequence[Level]) -> float | None:
    values = [value for one in ones if (value := get(one.summary)) is not None]
    return sum(values) / len(values) if values else None


def _capacities(curves: Sequence[tuple[str, Curve]]) -> tuple[Mark, ...]:
    return tuple(
        Mark(f"{name} capacity".strip(), found.capacity.level, "x", "dim")
        for name, found in curves
        if found.capacity is not None and found.capacity.level is not None
    )


def _intervals(curves: Sequence[tuple[str, Curve]]) -> tuple[Span, ...]:
    """Where capacities lie at 95 %."""
    return tuple(
        Span("", found.capacity.low, found.capacity.high)
        for _, found in curves
        if found.capacity and found.capacity.low is not None and found.capacity.high is not None
    )


def _throughput(curves: Sequence[tuple[str, Curve]]) -> Chart:
    """What a token more a second costs in latency."""
    hues: tuple[Hue, Hue] = ("a", "b")
    lines, dots, rows = [], [], []
    for n, ((name, found), hue) in enumerate(zip(curves, hues, strict=False)):
        seen = [one for one in found.levels if one.summary.ttft.count]
        points = [
            (_mean(lambda s: s.output_rate, ones) or 0.0, _mean(lambda s: s.ttft.p99, ones))
            for _, ones in merged(seen)
        ]
        each = [(one.summary.output_rate, one.summary.ttft.p99) for one in seen]
        lines.append(Series(f"{name} level by level".strip(), hue, points))
        dots.append(Series("", hue, each, "points"))
        rows += [(x, *(y if m == n else None for m in range(len(curves)))) for x, y in points]
    latencies = [y for one in lines for _, y in one.points if y is not None]
    return Chart(
        "Throughput against latency",
        "Each run's output tokens a second, and its p99 of the time to first token.",
        from_zero("output tokens/s", [x for one in lines for x, _ in one.points]),
        _axis("time to first token, p99", latencies),
        (*lines, *dots),
        ("tokens/s", *(f"{name} ttft p99".strip() for name, _ in curves)),
        tuple(sorted(rows, key=lambda row: row[0] or 0.0)),
    )


def levels(found: Curve) -> Html:
    """A row a run."""
    unit = "USERS" if found.axis == "users" else "REQUESTS/S DUE"
    head: list[object] = [unit, *HEAD]
    return table(head, [_row(one, found.share) for one in found.levels], frozenset(range(len(head))))


def _row(one: Level, share: float) -> list[object]:
    s = one.summary
    word = {True: "good", False: "bad", None: "dim"}[kept(one, share)]
    attained = "-" if s.attainment is None else figure(s.attainment, "%")
    return [
        f"{one.level:g}{'' if one.holds else ' (not to be believed)'}",
        number(s.completed),
        number(s.output_rate),
        *(figure(v, "s") for v in (s.ttft.p50, s.ttft.p99, s.itl.p50, s.itl.p99, s.e2e.p99)),
        tag("span", attained, class_=word),
        f"{s.failed:,}",
    ]
