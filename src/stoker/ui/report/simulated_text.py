"""A simulation in a terminal: what clients would see, what the fleet would do, what it would cost; and
several beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from stoker.simulator.run import Interval, Simulated
from stoker.simulator.scenario import Scenario
from stoker.traffic.run import Moment
from stoker.ui.findings import checked
from stoker.ui.report import text as measured
from stoker.ui.report.figures import clock, figure
from stoker.ui.terminal import table

BARS = "▁▂▃▄▅▆▇█"
WIDE = 60  # characters of a course
SHOWN = 8  # decisions
COMPARED = (
    ("ttft_p50", "s"),
    ("ttft_p99", "s"),
    ("itl_p50", "s"),
    ("itl_p99", "s"),
    ("e2e_p50", "s"),
    ("e2e_p99", "s"),
    ("attainment", "%"),
    ("goodput", "number"),
    ("completed", "number"),
    ("failed", "%"),
    ("output_rate", "number"),
    ("replicas", "number"),
    ("most_replicas", "number"),
    ("replica_hours", "number"),
    ("gpu_hours", "number"),
    ("wasted", "%"),
    ("cost", "$"),
    ("dollars_a_million", "$"),
)
NAMES = {
    "attainment": "objectives kept",
    "goodput": "goodput/s",
    "completed": "completed/s",
    "output_rate": "tokens/s",
    "most_replicas": "replicas at most",
    "replica_hours": "replica hours",
    "gpu_hours": "GPU hours",
    "wasted": "idle, of what is paid",
    "dollars_a_million": "$ a million tokens",
}


def text(found: Simulated, scenario: Scenario) -> str:
    """One simulation in about thirty lines."""
    run = found.run
    summary = run.summary
    lines = [
        f"{run.name}   {run.model}   {measured.described(run.workload)}   (simulated)",
        f"  profile     {profile(scenario)}",
        f"  window      {summary.window.rule}",
        f"  requests    {summary.requests - summary.failed:,} of {summary.requests:,} answered, "
        f"{summary.completed:.2f}/s of {summary.offered:.2f}/s due; {summary.concurrency:.1f} at once, "
        f"{summary.peak_concurrency} at most",
        f"  tokens      {summary.output_rate:,.1f}/s out, {summary.input_rate:,.1f}/s in"
        + (f", {summary.cached:.0%} of them cached" if summary.cached else ""),
        *failures(found),
        *measured.objectives(run),
        *fleet(found, scenario),
        *bound_by(found.spent),
        "",
        *(f"  {line}" for line in table(measured.rows(run), frozenset(range(1, 8))).splitlines()),
        "",
        *course(run.timeline),
        *decisions(found),
        *over_seeds(found),
        *(checked(one) for one in run.findings),
    ]
    return "\n".join(lines).rstrip()


def profile(scenario: Scenario) -> str:
    """Where the engine's pace is from, and how far it may be off."""
    found = scenario.profile
    sure = "how far it is off, nobody knows" if found.error is None else f"±{found.error:.0%} a step"
    return f"{found.source or 'as given'}; {sure}"


def bound_by(spent: Mapping[str, float]) -> Iterator[str]:
    """What engines spend their time on, the largest part first."""
    if spent:
        yield f"  engines     {', '.join(f'{share:.0%} {name}' for name, share in spent.items())}"


def failures(found: Simulated) -> Iterator[str]:
    """What failed, by kind."""
    errors = found.run.summary.errors
    if errors:
        yield f"  failed      {', '.join(f'{count:,} {kind}' for kind, count in errors.items())}"


def fleet(found: Simulated, scenario: Scenario) -> Iterator[str]:
    """What it used."""
    use = found.use
    ready = "" if use.ready_after is None else f"; {figure(use.ready_after, 's')} from asked for to ready"
    died = f"; {use.deaths} died" if use.deaths else ""
    yield (
        f"  fleet       {figure(use.mean)} replicas on average, {use.most} at most, "
        f"{len(found.decisions)} decisions, {use.starts} starts{ready}{died}"
    )
    hours = f"{figure(use.gpu_hours)} GPU" if use.gpu_hours else f"{figure(use.replica_hours)} replica"
    price = "no price at hand" if use.cost is None else f"${use.cost:,.2f}"
    each = found.dollars_a_million
    million = "" if each is None else f", ${each:,.2f} a million output tokens"
    yield f"  cost        {price}: {hours} hours, {figure(use.wasted, '%')} of them idle{million}"


def course(moments: Sequence[Moment]) -> Iterator[str]:
    """Replicas and queue in the course of time, each as a row of bars."""
    if len(moments) < 2:
        return
    rows = (
        ("replicas", [float(one.whole.ready or 0) for one in moments]),
        ("at once", [(one.whole.running or 0) + (one.whole.waiting or 0) for one in moments]),
        ("waiting", [one.whole.waiting or 0.0 for one in moments]),
    )
    for name, values in rows:
        yield f"  {name:<11} {bars(values)} {figure(max(values))} at most"
    yield f"  {'':<11} {clock(0)}{clock(round(moments[-1].at)):>{WIDE - 3}}"
    yield ""


def bars(values: Sequence[float]) -> str:
    """The most of each part of a course, as a bar."""
    most = max(values) or 1.0
    parts = min(WIDE, len(values))
    edges = [number * len(values) // parts for number in range(parts + 1)]
    tops = (max(values[begin:end]) for begin, end in pairwise(edges))
    return "".join(BARS[min(7, int(top / most * 7.999))] for top in tops)


def decisions(found: Simulated) -> Iterator[str]:
    """The first of them, in the controller's words."""
    for one in found.decisions[:SHOWN]:
        seen = ", ".join(figure(value) for value in one.figures if value is not None)
        because = f"{one.reason}{f' ({seen})' if seen else ''}"
        yield f"  {clock(round(one.at)):>8}    {one.before} -> {one.wanted}: {because}"
    if len(found.decisions) > SHOWN:
        yield f"  {'':>8}    and {len(found.decisions) - SHOWN} more: -o json has all"
    if found.decisions:
        yield ""


def over_seeds(found: Simulated) -> Iterator[str]:
    """The figures that matter, over all seeds."""
    if found.seeds < 2:
        return
    names = ("ttft_p50", "ttft_p99", "itl_p50", "e2e_p50", "e2e_p99", "attainment", "replicas", "cost")
    told = [(name, found.figures[name]) for name in names if name in found.figures]
    words = "; ".join(f"{name.replace('_', ' ')} {between(name, one)}" for name, one in told)
    yield f"  {found.seeds} seeds     {words} (mean, 95 % interval)"


def between(name: str, one: Interval) -> str:
    """A figure with its interval."""
    unit = dict(COMPARED).get(name, "number")
    if unit == "$":
        return f"${one.mean:,.2f} (${max(0.0, one.low):,.2f} to ${one.high:,.2f})"
    low = max(0.0, one.low)
    high = min(1.0, one.high) if unit == "%" else one.high
    return f"{figure(one.mean, unit)} ({figure(low, unit)} to {figure(high, unit)})"  # type: ignore[arg-type]


def compared(names: Sequence[str], found: Sequence[Simulated]) -> str:
    """Several side by side, each a column; the first is what the others are held against."""
    rows = [["", *names]]
    for name, unit in COMPARED:
        cells = [_cell(one.figures.get(name), unit) for one in found]
        if any(cell != "-" for cell in cells):
            rows.append([NAMES.get(name, name.replace("_", " ")), *cells])
    return table(rows, frozenset(range(1, len(names) + 1)))


def findings(found: Sequence[Simulated]) -> str:
    """What has to be said of several, each once."""
    every = dict.fromkeys(one for each in found for one in each.run.findings if one.severity != "note")
    return "".join(f"{checked(one)}\n" for one in every)


def _cell(one: Interval | None, unit: str) -> str:
    if one is None:
        return "-"
    shown = f"${one.mean:,.2f}" if unit == "$" else figure(one.mean, unit)  # type: ignore[arg-type]
    off = (one.high - one.low) / 2
    return f"{shown} ±{off / abs(one.mean):.0%}" if off and one.mean else shown
