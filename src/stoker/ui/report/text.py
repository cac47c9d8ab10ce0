"""A run in a terminal: what was asked, what came back, and what is to be said of it."""

from collections.abc import Iterator, Mapping
from typing import Any

from stoker.traffic.limits import limited_by
from stoker.traffic.measures import Spread
from stoker.traffic.run import Run
from stoker.ui.findings import checked
from stoker.ui.terminal import table

NAMES = {
    "ttft": "time to first token",
    "itl": "inter-token latency",
    "tpot": "time per output token",
    "e2e": "end to end",
}


def text(run: Run) -> str:
    """A run in about twenty lines."""
    found, said = run.summary, limited_by(run)
    lines = [
        f"{run.name}   {run.model}   {described(run.workload)}   ({run.kind})",
        f"  window      {found.window.rule}" + ("; interrupted" if run.interrupted else ""),
        f"  requests    {found.requests - found.failed:,} of {found.requests:,} answered, "
        f"{found.completed:.2f}/s of {found.offered:.2f}/s due; {found.concurrency:.1f} at once, "
        f"{found.peak_concurrency} at most",
        f"  tokens      {found.output_rate:,.1f}/s out, {found.input_rate:,.1f}/s in"
        + (f", {found.cached:.0%} of them cached" if found.cached else ""),
        *objectives(run),
        *cost(run),
        f"  limited by  {said[0].lower()}{said[1:]}",
        "",
        *(f"  {line}" for line in table(rows(run), frozenset(range(1, 8))).splitlines()),
        "",
        *(checked(one) for one in run.findings),
    ]
    return "\n".join(lines).rstrip()


def objectives(run: Run) -> Iterator[str]:
    """Whether they were kept."""
    found = run.summary
    if found.attainment is None:
        return
    broken = ", ".join(f"{count} broke {name}" for name, count in found.broken.items())
    verdict = "kept" if found.attainment >= run.share else "not kept"
    yield (
        f"  objectives  {run.objectives}: {verdict}, {found.attainment:.1%} of requests "
        f"({run.share:.0%} asked)"
        f"{f'; {broken}' if broken else ''}; goodput {found.goodput or 0:.2f}/s"
    )


def cost(run: Run) -> Iterator[str]:
    """Dollars, where there is a price."""
    if run.cost is not None:
        yield f"  cost        ${run.cost:.2f} a million output tokens (${run.environment.price:.2f} an hour)"


def rows(run: Run) -> list[list[str]]:
    """The table of latencies: the client's, from when a request was due and from when it was sent, and the
    engine's own."""
    found = run.summary
    out = [["MILLISECONDS", "MEAN", "P50", "P90", "P95", "P99", "MAX", "COUNT"]]
    pairs = (
        ("ttft", found.ttft),
        ("  from sent", found.ttft_sent),
        ("itl", found.itl),
        ("tpot", found.tpot),
        ("e2e", found.e2e),
        ("  from sent", found.e2e_sent),
        ("dispatch lag", found.lag),
    )
    out += [_row(name, one) for name, one in pairs if one.count]
    for name, told in run.server.latencies.items():
        out.append(_server_row(f"engine {name}", told))
    return out


def _row(name: str, one: Spread) -> list[str]:
    return [
        name,
        *(f"{1000 * value:,.1f}" for value in (one.mean, one.p50, one.p90, one.p95, one.p99, one.most)),
        f"{one.count:,}",
    ]


def _server_row(name: str, told: Mapping[str, float]) -> list[str]:
    cells = [
        f"{1000 * told[key]:,.1f}" if key in told else "-"
        for key in ("mean", "p50", "p90", "p95", "p99", "max")
    ]
    return [name, *cells, f"{told.get('count', 0):,.0f}"]


def described(asked: Mapping[str, Any]) -> str:
    """The workload in words, short."""
    return " ".join(f"{name}={value}" for name, value in asked.items()) or "the default workload"
