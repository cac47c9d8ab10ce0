"""The report of one run: a verdict in words, then figures, charts, errors and the set-up."""

from collections.abc import Iterator, Sequence

from stoker.traffic.limits import limited_by
from stoker.traffic.records import RequestRecord
from stoker.traffic.run import Run
from stoker.ui.report import distributions, parts
from stoker.ui.report.charts import gallery
from stoker.ui.report.figures import clock, figure, number
from stoker.ui.report.html import Html, table, tag
from stoker.ui.report.page import page, section, when
from stoker.ui.report.run_figures import latencies, tiles
from stoker.ui.report.text import described
from stoker.ui.report.timelines import Timelines

SHOWN = 300  # characters of an error's text


def run_page(run: Run) -> str:
    """The whole page."""
    values = distributions.observed(run)
    percentiles = distributions.cumulative(values, run.objectives)
    spreads = [*([percentiles] if percentiles else []), *distributions.histograms(values)]
    charts = Timelines(run).charts()
    moment = f"{when(run.started)} · " if run.started else ""  # a simulation has none
    where = f"{run.model} · {moment}{run.kind}"
    what = "Simulation" if run.kind == "simulated" else "Load test"
    return page(
        f"{what} of {run.name}",
        pill(run),
        where,
        verdict(run),
        tiles(run),
        section("Latency in milliseconds", latencies(run)),
        section("Over time", gallery(charts, "t")) if charts else None,
        section("Distributions", gallery(spreads, "d")) if spreads else None,
        errors(run),
        tag("div", _workload(run), _environment(run), class_="pair"),
        parts.spec(run.environment),
        parts.definitions(),
    )


def pill(run: Run) -> tuple[str, str]:
    """The verdict in a word, and its colour."""
    if not run.holds:
        return "not to be believed", "bad"
    kept = run.summary.attainment
    if kept is None:
        return (run.kind, "dim") if not run.summary.failed else ("with failures", "warn")
    return ("objectives kept", "good") if kept >= run.share else ("objectives not kept", "bad")


def verdict(run: Run) -> Html:
    """Were the objectives kept, can it be believed, what limited it; and what was found."""
    lines = [tag("p", tag("strong", f"{name} "), text) for name, text in sentences(run)]
    kind = {"good": "good", "bad": "bad", "warn": "warn"}.get(pill(run)[1], "")
    return section("Verdict", lines, parts.findings(run.findings), class_=f"verdict {kind}".strip())


def sentences(run: Run) -> Iterator[tuple[str, str]]:
    """Questions and their answers."""
    found = run.summary
    if found.attainment is not None:
        kept = "Yes" if found.attainment >= run.share else "No"
        broken = ", ".join(f"{count:,} broke {name}" for name, count in found.broken.items())
        failed = f"{found.failed:,} failed" if found.failed else ""
        more = "; ".join(one for one in (broken, failed) if one)
        yield (
            "Objectives kept?",
            f"{kept}: {figure(found.attainment, '%')} of requests were answered within {run.objectives}; "
            f"{figure(run.share, '%')} were asked for.{f' {more[0].upper()}{more[1:]}.' if more else ''}",
        )
    else:
        yield "Objectives kept?", "None were given: `--slo ttft=1s,itl=50ms` sets them."
    yield "Can it be believed?", _believed(run)
    yield "What limited it?", limited_by(run)
    if run.interrupted:
        yield "Interrupted.", "It ended early; the figures are of what was measured until then."


def _believed(run: Run) -> str:
    if not run.holds:
        return "No: the findings below spoil it."
    if run.kind == "simulated":
        return _as_its_profile(run)
    lag = run.summary.lag
    used = f"its busiest process used {run.generator.busiest:.0%} of a core" if run.generator.busiest else ""
    late = f"99 % of requests left within {figure(lag.p99, 's')} of their time" if lag.count else ""
    return f"Yes: {', '.join(one for one in (late, used) if one) or 'nothing spoilt it'}."


def _as_its_profile(run: Run) -> str:
    """How far a simulation can be."""
    pace = run.profile
    if pace is None or pace.error is None:
        return "As far as the engine's profile, and how far that is off nobody knows."
    source = f" ({pace.source})" if pace.source else ""
    return f"As far as the engine's profile{source}, which is within {pace.error:.0%} of a step's time."


def errors(run: Run) -> Html | None:
    """Failures by kind, each with the first one's own words; None without any."""
    failed: dict[str, list[RequestRecord]] = {}
    for one in run.records:
        if one.failure is not None and one.failure.kind != "cancelled":
            status = f" {one.failure.status}" if one.failure.kind == "status" else ""
            failed.setdefault(f"{one.failure.kind}{status}", []).append(one)
    rows: list[list[object]] = [
        [kind, f"{len(ones):,}", _first(ones), _example(ones)]
        for kind, ones in sorted(failed.items(), key=lambda pair: -len(pair[1]))
    ]
    if not rows:
        return None
    return section(
        "Errors, of the whole test",
        table(["kind", "count", "first at", "an example, in its own words"], rows, frozenset({1, 2})),
        id="errors",
    )


def _first(ones: Sequence[RequestRecord]) -> str:
    return clock(round(min(one.scheduled for one in ones), 1))


def _example(ones: Sequence[RequestRecord]) -> Html:
    text = next((one.failure.text for one in ones if one.failure and one.failure.text), "")
    return tag("code", text[:SHOWN] + ("…" if len(text) > SHOWN else ""))


def _workload(run: Run) -> Html | None:
    found = run.summary
    means = {
        "prompt": f"{number(found.input.mean)} tokens on average" if found.input.count else "",
        "answer": f"{number(found.output.mean)} tokens on average" if found.output.count else "",
        "window": found.window.rule,
        "cached": f"{found.cached:.0%} of prompt tokens" if found.cached else "",
    }
    asked = {name.replace("_", " "): str(value) for name, value in run.workload.items()}
    return parts.facts(
        "Workload",
        {"in words": described(run.workload), **asked, **means} if not asked else {**asked, **means},
    )


def _environment(run: Run) -> Html | None:
    use = run.generator
    workers = f"{use.workers} process{'es' if use.workers != 1 else ''}, {use.loop}" if use.loop else ""
    more = {
        "endpoint": run.url,
        "model": run.model,
        "sent by": f"{workers}, {use.cpu:.1f} CPU seconds" if workers else "",
    }
    return parts.environment(run.environment, more)
