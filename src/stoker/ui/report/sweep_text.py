"""A sweep in a terminal: what was tried, the capacity, and what stands in the way; or all of it in plain
words."""

from collections.abc import Iterator, Sequence

from stoker.bench.sweep import Sweep
from stoker.traffic.capacity import LoadStep
from stoker.traffic.run import Run
from stoker.ui.terminal import table

HEAD = ("COMPLETED/S", "TOKENS/S", "TTFT P99", "ITL P99", "REQUESTS", "KEPT", "95 %", "")
LIMITS = {
    "ttft": "the time to the first token grew too long",
    "itl": "the time between tokens grew too long",
    "e2e": "whole answers took too long",
    "failures": "requests failed",
    "throughput": "requests came faster than they were answered",
    "duration": "a user waited for an answer about as long as the test took: a longer --duration tells",
}


def text(sweep: Sweep) -> str:
    """The table of what was tried, and the answer below it."""
    unit = "requests/s" if sweep.level == "rate" else "users"
    rows = [[sweep.level.upper(), *HEAD], *(_row(one, sweep.share) for one in sweep.steps)]
    lines = [
        *table(rows, frozenset(range(8))).splitlines(),
        "",
        f"capacity    {capacity(sweep, unit)}",
        f"objectives  {sweep.objectives or 'none: what the server keeps up with'}, "
        f"by {sweep.share:.0%} of requests",
    ]
    if sweep.found.limits:
        lines.append(f"above it    {limits(sweep.found.limits)}")
    if sweep.scaling:
        lines.append(f"scale on    {scaling(sweep)}")
    if sweep.profile is not None:
        lines.append(f"engine      {pace(sweep)}")
    if sweep.interrupted:
        lines.append("interrupted: the search was not finished")
    return "\n".join(lines)


def capacity(sweep: Sweep, unit: str) -> str:
    """The capacity with its interval."""
    found = sweep.found
    if found.level is None:
        least = min((one.level for one in sweep.steps), default=0.0)
        return f"none: at {least:g} {unit} the objectives are not kept either"
    place = f"{found.level:.3g} {unit} (95 % interval {found.low:.3g} to {found.high:.3g})"
    return place if found.bounded else f"at least {place}: nothing higher that counts was tried"


def scaling(sweep: Sweep) -> str:
    """What an autoscaler's targets would be, in the file's own form."""
    one = sweep.told
    told = f"{one.running:.1f} ran in an engine at {one.level:g}" if one and one.running is not None else ""
    if one and one.waiting is not None:
        told += f", {one.waiting:.1f} waited"
    targets = ", ".join(f"{name}: {value:g}" for name, value in sweep.scaling.items())
    return f"scaling: {{metrics: {{{targets}}}}}   ({told})"


PARTS = (
    ("base", "a step", 1e3, "ms"),
    ("prefill_token", "a prompt token", 1e6, "µs"),
    ("sequence", "a sequence", 1e6, "µs"),
    ("kv_token", "a token of KV cache", 1e9, "ns"),
)


def pace(sweep: Sweep) -> str:
    """The engine's profile, each part with its interval, and how far it misses steps that it was not fitted
    to."""
    profile = sweep.profile
    assert profile is not None
    said = [
        _part(sweep, getattr(profile, name), name, what, scale, unit) for name, what, scale, unit in PARTS
    ]
    error = "" if profile.error is None else f"; it misses {profile.error:.1%} of a step it was not fitted to"
    return f"{', '.join(one for one in said if one)} (of {sweep.gaps:,} steps{error})"


def _part(sweep: Sweep, value: float, name: str, what: str, scale: float, unit: str) -> str:
    if not value:
        return ""
    low, high = sweep.intervals.get(name, (value, value))
    return f"{scale * value:.3g} {unit} {what} ({scale * low:.3g} to {scale * high:.3g})"


def limits(names: Sequence[str]) -> str:
    """What stands in the way."""
    return ", ".join(LIMITS.get(name, name) for name in names)


def _row(one: LoadStep, share: float) -> list[str]:
    low, high = one.interval()
    return [
        f"{one.level:g}",
        f"{one.completed:.2f}",
        f"{one.output_rate:,.0f}",
        f"{1000 * one.ttft:,.0f} ms",
        f"{1000 * one.itl:,.0f} ms",
        f"{one.requests:,}",
        f"{one.attainment:.1%}",
        f"{low:.0%}..{high:.0%}",
        _verdict(one, share),
    ]


def _verdict(one: LoadStep, share: float) -> str:
    if one.meets(share):
        return "ok"
    if not one.believable:
        return "not counted: the load generator was late"
    return limits(one.limits[:1]) or "not kept"


def in_words(sweep: Sweep) -> str:
    """The answer of `--quick`, in sentences."""
    return "\n".join(_words(sweep))


def _words(sweep: Sweep) -> Iterator[str]:
    if sweep.alone is not None and sweep.alone.summary.ttft.count:
        yield from _alone(sweep.alone)
    best, found = sweep.best, sweep.found
    if best is None or found.level is None:
        yield f"Within {sweep.objectives}: not even one user at a time."
    else:
        more = "" if found.bounded else ", and more than were tried"
        yield (
            f"Within {sweep.objectives}: about {found.level:.0f} users at once{more}, "
            f"who get {best.output_rate:,.0f} tokens/s together."
        )
    if sweep.scaling:
        yield f"To scale a fleet of such replicas: {scaling(sweep)}."
    above = [one for one in sweep.steps if not one.meets(sweep.share)]
    if above:
        first = above[0]
        why = limits(first.limits[:1]) or "the objectives were not kept"
        yield (
            f"With {first.level:.0f} users {why}: "
            f"first token within {_time(first.ttft)} and {_time(first.itl)} between tokens for 99 of 100."
        )


def _alone(run: Run) -> Iterator[str]:
    found = run.summary
    speed = f", then {1 / found.tpot.p50:,.0f} tokens/s" if found.tpot.p50 else ""
    tokens = f"{found.input.p50:,.0f} tokens in, {found.output.p50:,.0f} out"
    yield f"One user: first token in {_time(found.ttft.p50)}{speed} ({tokens})."


def _time(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
