"""Results in a terminal: a peer's like one of ours, two compared, and runs at several levels of load."""

from collections.abc import Iterator, Sequence

import click

from stoker.findings import Finding
from stoker.traffic.compare import CONFIDENCE, Compared, Verdict
from stoker.traffic.curve import Curve, Level, kept
from stoker.traffic.result import Result, Told
from stoker.traffic.setups import Difference
from stoker.ui.findings import checked
from stoker.ui.report.figures import figure, milliseconds, number
from stoker.ui.report.sweep_text import limits as in_the_way
from stoker.ui.report.text import described
from stoker.ui.terminal import table

RIGHT = frozenset(range(1, 9))
_COLORS = {"better": "green", "worse": "red"}
VERDICTS: tuple[Verdict, ...] = (
    "better",
    "worse",
    "higher",
    "lower",
    "no difference seen",
    "too short to tell",
    "without records",
    "not comparable",
)
LONGEST = 60  # characters of a value that differs


def result_text(found: Result) -> str:
    """One result, ours or a peer's; `-` is what its tool does not tell."""
    lines = [
        f"{found.name}   {found.model}   {described(found.workload)}   ({found.kind} by {found.tool})",
        f"  requests    {_answered(found)}",
        f"  tokens      {number_or(found.output_rate)}/s out, {number_or(found.input_rate)}/s in; "
        f"prompts of {number_or(found.input)}, answers of {number_or(found.output)} on average",
    ]
    if found.goodput is not None:
        lines.append(f"  goodput     {number(found.goodput)}/s")
    rows = [["MILLISECONDS", "MEAN", "P50", "P90", "P95", "P99", "MAX", "COUNT"]]
    rows += [_row(name, told) for name, told in found.latencies.items()]
    lines += ["", *(f"  {line}" for line in table(rows, RIGHT).splitlines()), ""]
    lines += [f"  note  {name}: {note}" for name, note in found.notes.items()]
    return "\n".join(lines).rstrip()


def number_or(value: float | None) -> str:
    """A number, or `-`."""
    return "-" if value is None else number(value)


def _answered(found: Result) -> str:
    asked, failed = found.requests, found.failed
    answered = "-" if asked is None else f"{asked - (failed or 0):,} of {asked:,}"
    due = "" if found.offered is None else f" of {number(found.offered)}/s due"
    return f"{answered} answered, {number_or(found.completed)}/s{due}; {number_or(found.concurrency)} at once"


def _row(name: str, told: Told) -> list[str]:
    label = f"  {name.removesuffix('_sent')} from sent" if name.endswith("_sent") else name
    values = (told.mean, told.p50, told.p90, told.p95, told.p99, told.most)
    count = "-" if told.count is None else f"{told.count:,.0f}"
    return [label, *(milliseconds(one) for one in values), count]


def compared_text(
    names: tuple[str, str],
    results: tuple[Result, Result],
    rows: Sequence[Compared],
    differences: Sequence[Difference],
    warnings: Sequence[Finding],
) -> str:
    """Two results side by side: B against A."""
    lines = [
        f"{label}  {name}   {one.model}   {described(one.workload)}   ({one.kind} by {one.tool})"
        for label, name, one in zip("AB", names, results, strict=True)
    ]
    cells = [["", "A", "B", "B / A", f"{CONFIDENCE:.0%} INTERVAL", ""], *(_compared(row) for row in rows)]
    lines += ["", *(f"  {word}: {text}" for word, text in in_words(rows))]
    lines += ["", *(f"  {_colored(line)}" for line in table(cells, frozenset({1, 2, 3, 4})).splitlines()), ""]
    lines += [f"  note  {line}" for line in notes(rows, results)]
    if differences:
        lines.append("  the set-ups differ in")
        told = [[one.what, shorter(one.a), shorter(one.b)] for one in differences]
        lines += [f"    {line}" for line in table([["", "A", "B"], *told]).splitlines()]
    lines += [checked(one) for one in warnings]
    return "\n".join(lines).rstrip()


def in_words(rows: Sequence[Compared]) -> Iterator[tuple[str, str]]:
    """Each verdict, with the figures that it is of."""
    for word in VERDICTS:
        found = [row for row in rows if row.verdict == word]
        if found:
            yield word, ", ".join(_by(row) if row.significant else row.label for row in found)


def _by(row: Compared) -> str:
    if row.ratio is None:
        return row.label
    return f"{row.label} {'+' if row.ratio > 1 else '-'}{abs(row.ratio - 1):.1%}"


def _compared(row: Compared) -> list[str]:
    ratio = "-" if row.ratio is None else f"{row.ratio:.3f}"
    return [row.label, value(row, row.a), value(row, row.b), ratio, between(row), row.verdict]


def notes(rows: Sequence[Compared], results: tuple[Result, Result]) -> Iterator[str]:
    """Where a tool defines what is compared otherwise, once for each figure."""
    for name in dict.fromkeys(row.metric.name for row in rows):
        for one in results:
            if name in one.notes:
                yield f"{name}, {one.tool}: {one.notes[name]}"


def value(row: Compared, found: float | None) -> str:
    """A figure of a comparison, with its unit."""
    return figure(found, "s") if row.metric.unit == "ms" else number_or(found)


def between(row: Compared) -> str:
    """Where the ratio lies; `-` where that is not known."""
    return "-" if row.low is None or row.high is None else f"{row.low:.3f} .. {row.high:.3f}"


def _colored(line: str) -> str:
    word = line.rpartition(" ")[2]
    return line.removesuffix(word) + click.style(word, fg=_COLORS[word]) if word in _COLORS else line


def shorter(text: str) -> str:
    """A value that differs, cut where it is long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def curve_text(found: Curve) -> str:
    """Runs at several levels of load, a line each, and the capacity where a sweep has found it."""
    unit = "users" if found.axis == "users" else "requests/s"
    head = [
        unit.upper(),
        "COMPLETED/S",
        "TOKENS/S",
        "TTFT P50",
        "TTFT P99",
        "ITL P99",
        "E2E P99",
        "KEPT",
        "FAILED",
    ]
    rows = [head, *(_level(one, found.share) for one in found.levels)]
    lines = [
        f"{found.name}   {found.model}   {described(found.workload)}   "
        f"({found.kind}, {len(found.levels)} runs)",
        *(f"  {line}" for line in capacity_words(found)),
        "",
        *(f"  {line}" for line in table(rows, frozenset(range(9))).splitlines()),
    ]
    return "\n".join(lines).rstrip()


def _level(one: Level, share: float) -> list[str]:
    found = one.summary
    attained = "-" if found.attainment is None else figure(found.attainment, "%")
    mark = {True: " ok", False: " no", None: ""}[kept(one, share)]
    believed = "" if one.holds else " (!)"
    times = (found.ttft.p50, found.ttft.p99, found.itl.p99, found.e2e.p99)
    return [
        f"{one.level:g}{believed}",
        number(found.completed),
        number(found.output_rate),
        *(figure(value, "s") for value in times),
        f"{attained}{mark}",
        f"{found.failed:,}",
    ]


def capacity_words(found: Curve) -> Iterator[str]:
    """What a sweep has found, in a sentence."""
    unit = "users" if found.axis == "users" else "requests/s"
    capacity = found.capacity
    if capacity is None:
        return
    goal = (
        f"with {found.share:.0%} of requests within {found.objectives}" if found.objectives else "sustained"
    )
    if capacity.level is None:
        yield f"Capacity: none of the levels kept the objectives ({goal})."
        return
    interval = ""
    if capacity.low is not None and capacity.high is not None:
        interval = f" (at {CONFIDENCE:.0%}: {number(capacity.low)} to {number(capacity.high)})"
    least = "" if capacity.bounded else " at least"
    limits = f"; above it, {in_the_way(capacity.limits)}" if capacity.limits else ""
    yield f"Capacity:{least} {number(capacity.level)} {unit}{interval}, {goal}{limits}."
