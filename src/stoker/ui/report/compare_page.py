"""The report of two results side by side: what is better or worse by more than chance, and what else
differs."""

from collections.abc import Callable, Sequence

from stoker.findings import Finding
from stoker.traffic.compare import CONFIDENCE, Compared
from stoker.traffic.curve import Curve, capacities
from stoker.traffic.result import Result, Sampled
from stoker.traffic.setups import Difference
from stoker.ui.report import curve_page, distributions, parts
from stoker.ui.report.charts import Chart, gallery
from stoker.ui.report.html import Html, table, tag
from stoker.ui.report.page import page, section, when
from stoker.ui.report.results import between, in_words, notes, value
from stoker.ui.report.scales import Axis
from stoker.ui.report.text import described

WIDTH, HEIGHT = 190, 18
_COLORS = {"better": "better", "worse": "worse"}


def compare_page(
    names: tuple[str, str],
    results: tuple[Result, Result],
    rows: Sequence[Compared],
    differences: Sequence[Difference],
    warnings: Sequence[Finding],
) -> str:
    """The whole page."""
    charts = _charts(results)
    return page(
        "Two load tests compared",
        _pill(rows),
        f"A {names[0]} · B {names[1]}",
        _verdict(rows, warnings),
        _sides(names, results),
        section("B against A", _figures(rows), _noted(rows, results), tag("p", _how(), class_="dim")),
        section("Percentiles", gallery(charts, "p")) if charts else None,
        section("What differs between the set-ups", _differences(differences)) if differences else None,
        parts.definitions(),
    )


def _pill(rows: Sequence[Compared]) -> tuple[str, str]:
    words = {row.verdict for row in rows}
    if {"better", "worse"} <= words:
        return "better and worse", "warn"
    if "better" in words:
        return "B is better", "good"
    if "worse" in words:
        return "B is worse", "bad"
    if words & {"higher", "lower"}:
        return "the tools differ", "warn"
    return ("no difference seen", "dim") if "no difference seen" in words else ("no verdict", "dim")


def _verdict(rows: Sequence[Compared], warnings: Sequence[Finding]) -> Html:
    lines = [tag("p", tag("strong", f"{word.capitalize()}: "), text) for word, text in in_words(rows)]
    color = _pill(rows)[1]
    kind = f"verdict {color if color != 'dim' else ''}".strip()
    return section("Verdict", lines, parts.findings(warnings), class_=kind)


def _sides(names: tuple[str, str], results: tuple[Result, Result]) -> Html:
    made = [
        parts.facts(
            f"{label}  {name}",
            {
                "fleet": one.name,
                "model": one.model,
                "workload": described(one.workload),
                "measured by": f"{one.tool}{'' if one.kind == 'measured' else ' (simulated)'}",
                "at": when(one.started),
                "engine": one.environment.engine,
            },
        )
        for label, name, one in zip("AB", names, results, strict=True)
    ]
    return tag("div", made, class_="pair")


def _figures(rows: Sequence[Compared]) -> Html:
    known = [one for row in rows for one in (row.low, row.high, row.ratio) if one and row.significant]
    widest = min(3.0, max(1.25, *(max(one, 1 / one) for one in known))) if known else 1.25
    axis = Axis("", 1 / widest, widest, log=True)
    cells: list[list[object]] = [
        [
            row.label,
            value(row, row.a),
            value(row, row.b),
            "-" if row.ratio is None else f"{row.ratio:.3f}",
            between(row),
            _forest(row, axis.place),
            tag("span", row.verdict, class_=_COLORS.get(row.verdict, "dim")),
        ]
        for row in rows
    ]
    head: list[object] = ["", "A", "B", "B / A", f"{CONFIDENCE:.0%} INTERVAL", "1 = THE SAME", ""]
    return table(head, cells, frozenset({1, 2, 3, 4}), class_="compared")


def _forest(row: Compared, place: Callable[[float], float]) -> Html | None:
    """The ratio and its interval as a drawing; the line in it is 1."""
    if row.ratio is None:
        return None
    at = {name: f"{place(v) * WIDTH:.1f}" for name, v in (("one", 1.0), ("ratio", row.ratio))}
    hue = {"better": "e", "worse": "c"}.get(row.verdict, "dim")
    whole = None
    if row.low is not None and row.high is not None:
        low, high = f"{place(row.low) * WIDTH:.1f}", f"{place(row.high) * WIDTH:.1f}"
        whole = tag("path", d=f"M{low} {HEIGHT / 2}H{high}", class_=f"line s-{hue}")
    return tag(
        "svg",
        tag("path", d=f"M{at['one']} 0V{HEIGHT}", class_="axis"),
        whole,
        tag("circle", cx=at["ratio"], cy=HEIGHT / 2, r=3.2, class_=f"f-{hue}"),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        class_="forest",
        aria_hidden="true",
    )


def _noted(rows: Sequence[Compared], results: tuple[Result, Result]) -> Html | None:
    said = [tag("li", one) for one in notes(rows, results)]
    return tag("ul", said, class_="notes") if said else None


def _how() -> str:
    return (
        "Intervals by batch means: each window is split into batches of equal time, and what differs between "
        "batches says how well the whole is known. What changes from one test to the next they cannot see."
    )


def _charts(results: tuple[Result, Result]) -> list[Chart]:
    values = [_values(one.sampled) for one in results]
    found = (
        distributions.overlaid(name, values[0].get(name, []), values[1].get(name, []))
        for name in ("ttft", "itl", "e2e")
    )
    return [one for one in found if one is not None]


def _values(sampled: Sampled | None) -> dict[str, list[float]]:
    latencies = sampled.latencies if sampled is not None else {}
    return {name: sorted(v for _, ones in observed for v in ones) for name, observed in latencies.items()}


def _differences(differences: Sequence[Difference]) -> Html:
    rows: list[list[object]] = [[one.what, one.a, one.b] for one in differences]
    return table(["", "A", "B"], rows, frozenset(), class_="wrapped")


def curves_page(names: tuple[str, str], curves: tuple[Curve, Curve], warnings: Sequence[Finding]) -> str:
    """Two sweeps: their curves in the same charts, B dashed."""
    pairs = list(zip("AB", curves, strict=True))
    words = [
        tag("p", tag("strong", f"{label} {name}: "), sentence)
        for (label, one), name in zip(pairs, names, strict=True)
        for sentence in curve_page.sentences(one)
    ]
    words.append(tag("p", capacities(*curves)))
    return page(
        "Two sweeps compared",
        ("compared", "dim"),
        f"A {names[0]} · B {names[1]}",
        section("Capacity", words, parts.findings(warnings), class_="verdict"),
        section("Throughput and latency, B dashed", gallery(curve_page.charts(pairs), "c")),
        *(
            section(f"{label}  {name}", curve_page.levels(one))
            for (label, one), name in zip(pairs, names, strict=True)
        ),
        parts.definitions(),
    )
