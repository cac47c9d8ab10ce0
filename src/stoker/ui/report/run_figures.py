"""A run's figures: the ones that matter most, large, and its latencies beside the engine's own."""

from collections.abc import Mapping

from stoker.traffic.measures import Spread
from stoker.traffic.run import Run
from stoker.ui.report import parts
from stoker.ui.report.figures import figure, milliseconds, number
from stoker.ui.report.html import Html, table, tag
from stoker.ui.report.text import NAMES

COLUMNS = ("MEAN", "P50", "P90", "P95", "P99", "MAX", "COUNT")
TOLD = ("MEAN", "P50", "P90", "P99")
NOTHING = tag("span", "-", class_="dim")


def tiles(run: Run) -> Html:
    """The figures that matter most."""
    found = run.summary
    cost = None
    if run.cost is not None:
        cost = f"${run.cost:.2f}", "a million output tokens", f"${run.environment.price:.2f} an hour"
    goodput = None
    if found.goodput is not None:
        goodput = number(found.goodput), "goodput, requests/s", f"{figure(found.attainment, '%')} of requests"
    return parts.tiles(
        (
            (number(found.completed), "requests/s completed", f"of {number(found.offered)} due"),
            (number(found.output_rate), "output tokens/s", f"{number(found.input_rate)} prompt tokens/s"),
            _spread("first token, p50", found.ttft),
            _spread("inter-token, p50", found.itl),
            _spread("end to end, p50", found.e2e),
            (f"{found.failed:,}", "failed", f"of {found.requests:,} requests"),
            (number(found.concurrency), "at once, mean", f"{found.peak_concurrency:,} at most"),
            goodput,
            cost,
        )
    )


def _spread(name: str, one: Spread) -> tuple[str, str, str] | None:
    return (figure(one.p50, "s"), name, f"p99 {figure(one.p99, 's')}") if one.count else None


def latencies(run: Run) -> Html:
    """The client's figures and, beside them, the engine's."""
    found, told = run.summary, run.server.latencies
    rows: list[list[object]] = []
    for key, own, sent in (
        ("ttft", found.ttft, found.ttft_sent),
        ("itl", found.itl, Spread()),
        ("tpot", found.tpot, Spread()),
        ("e2e", found.e2e, found.e2e_sent),
    ):
        rows.append([NAMES[key], *_cells(own), *_told(told.get(key))])
        if sent.count:
            rows.append([tag("span", "from sent", class_="below"), *_cells(sent), *_told(None)])
    rows += [
        [f"{key} in the engine", *_cells(Spread()), *_told(one)]
        for key, one in told.items()
        if key not in NAMES
    ]
    rows.append(["dispatch lag", *_cells(found.lag), *_told(None)])
    groups = (
        ("", 1),
        ("to clients, from when a request was due", len(COLUMNS)),
        ("by the engine's count", len(TOLD)),
    )
    head: list[object] = ["", *COLUMNS, *TOLD]
    return table(head, rows, frozenset(range(1, len(head))), groups, class_="latencies")


def _cells(one: Spread) -> list[object]:
    if not one.count:
        return [NOTHING] * len(COLUMNS)
    values = (one.mean, one.p50, one.p90, one.p95, one.p99, one.most)
    return [*(milliseconds(value) for value in values), f"{one.count:,}"]


def _told(told: Mapping[str, float] | None) -> list[object]:
    values = ((told or {}).get(name.lower()) for name in TOLD)
    return [NOTHING if value is None else milliseconds(value) for value in values]
