"""What limited a run: the load generator, its users, the engine's memory or its pace; or nothing."""

from collections.abc import Callable

from stoker.traffic.run import Run

FULL = 0.95  # of the KV cache
OFTEN = 0.05  # share of the seconds of a window
QUEUED = 1.0  # requests that wait in the engines, on average


def limited_by(run: Run) -> str:
    """What stood in the way of more, in a sentence that says by which sign."""
    rules = {one.rule for one in run.findings}
    if "bench-lag" in rules:
        return "The load generator itself: it sent later than it was asked to."
    if not run.summary.requests:
        return "Nothing was measured."
    engine = _engine(run)
    if "bench-saturated" in rules:
        return engine or "The server: it completed less than was due."
    if _closed(run):
        most = run.summary.peak_concurrency
        return (
            engine or f"The users: each waits for its answer, so that {most} requests at most were under way."
        )
    return _objective(run, engine) or engine or "Nothing: the server kept up with all that was sent."


def _closed(run: Run) -> bool:
    """Whether it was a closed loop: also the default."""
    return not any(word in run.workload for word in ("rate", "arrivals", "burstiness", "trace"))


def _engine(run: Run) -> str:
    """What the engines showed of a limit; empty where they showed none, or nothing."""
    full = _share(run, lambda use: use >= FULL, "kv_cache_usage")
    if full > OFTEN or run.server.preemptions:
        more = f"; {run.server.preemptions:.2f} preemptions/s" if run.server.preemptions else ""
        return f"The KV cache: it was at least {FULL:.0%} full for {full:.0%} of the time{more}."
    waiting = mean_of(run, "waiting")
    if waiting is not None and waiting >= QUEUED:
        return f"The engine's pace: {waiting:.1f} requests waited in its queue on average."
    return ""


def _objective(run: Run, engine: str) -> str:
    """Of a server that keeps up: which objective it does not keep."""
    found = run.summary
    if found.attainment is None or found.attainment >= run.share or not found.broken:
        return ""
    name = max(found.broken, key=lambda one: found.broken[one])
    causes = {
        "ttft": "The wait for the first token",
        "itl": "The pace of each answer",
        "e2e": "The length of answers and their pace",
    }
    more = f" {engine}" if engine else ""
    return f"{causes[name]}: {found.broken[name]:,} requests broke the objective for {name}.{more}"


def values_of(run: Run, name: str) -> list[float]:
    """A figure of all engines together, second by second of the window, where it was told."""
    window = run.window
    found = (getattr(one.whole, name) for one in run.timeline if window.start <= one.at <= window.end)
    return [value for value in found if value is not None]


def mean_of(run: Run, name: str) -> float | None:
    """Its mean; None where nobody told it."""
    values = values_of(run, name)
    return sum(values) / len(values) if values else None


def each_engine(run: Run, name: str) -> float | None:
    """The mean of a figure in one engine; None where nobody told it."""
    engines = max((len(one.replicas) for one in run.timeline), default=0)
    total = mean_of(run, name)
    return total / max(1, engines) if total is not None else None


def _share(run: Run, is_so: Callable[[float], bool], name: str) -> float:
    values = values_of(run, name)
    return sum(map(is_so, values)) / len(values) if values else 0.0
