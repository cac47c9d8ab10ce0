"""What is to be said of a run: whether the test itself can be believed, and what it shows."""

from collections.abc import Iterator, Sequence

from stoker.findings import Finding
from stoker.traffic.measures import BUSY_LIMIT, LAG_LIMIT, Summary
from stoker.traffic.run import GeneratorUse, ServerSide

FEW = 100  # requests below which a p99 is the slowest of them
CLOSE = 0.05  # share by which client and server may differ without a word
MANY = 20  # requests from which a rate can be told
LONG = 3.0  # answers that a window is to hold, one after another
SAME = 0.2  # share by which the numbers of requests may differ for their means to be compared
BEHIND = 0.9  # of the offered rate that a server completes that keeps up


def validity(summary: Summary, use: GeneratorUse, *, open_loop: bool) -> Iterator[Finding]:
    """What the test did wrong, or what it cannot know."""
    lag = summary.lag.p99
    if open_loop and summary.lag.count and lag > LAG_LIMIT:
        yield Finding(
            "the load generator was late",
            why=f"99 % of requests left within {lag * 1000:.1f} ms of their time, "
            f"{LAG_LIMIT * 1000:.0f} ms is the limit: the rate asked for was not sent",
            fix="--workers N, or a machine apart from the server's",
            rule="bench-lag",
        )
    if use.busiest > BUSY_LIMIT:
        yield Finding(
            f"a process of the load generator used {use.busiest:.0%} of a core",
            why="what it has no time to read looks like a slow server",
            fix="--workers N, or a machine apart from the server's",
            severity="error" if lag > LAG_LIMIT else "warning",
            rule="bench-client-busy",
        )
    if not summary.requests:
        yield Finding(
            "nothing was measured",
            why=f"no request was due within the window ({summary.window.rule})",
            fix="a longer --duration, a shorter --warmup, or a higher --rate",
            rule="bench-empty",
        )
    elif summary.requests - summary.failed < FEW:
        yield Finding(
            f"p99 is of {summary.requests - summary.failed} answers",
            why=f"below {FEW} it is the slowest of them",
            fix="a longer --duration",
            severity="note",
            rule="bench-few",
        )


def lengths(summary: Summary) -> Iterator[Finding]:
    """Prompts that were not as long as asked."""
    if summary.mismatched:
        yield Finding(
            f"{summary.mismatched} prompts had another number of tokens than was asked for",
            why="the server's tokenizer does not count the words of a prompt one by one",
            fix="the report gives the server's own counts",
            severity="warning",
            rule="bench-lengths",
        )


def load(summary: Summary, *, open_loop: bool) -> Iterator[Finding]:
    """What the server made of the load."""
    if summary.failed:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in summary.errors.items())
        yield Finding(
            f"{summary.failed} of {summary.requests} requests failed",
            why=kinds,
            fix="records.jsonl has each one's own words",
            severity="warning",
            rule="bench-failed",
        )
    long = summary.window.seconds > LONG * summary.e2e.p50
    if summary.e2e.count and not long:
        yield Finding(
            f"a window of {summary.window.seconds:.0f} s is short beside answers of {summary.e2e.p50:.0f} s",
            why="its throughput is that of a beginning, while the server fills up",
            fix="a longer --duration",
            severity="note",
            rule="bench-short",
        )
    elif open_loop and summary.requests >= MANY and summary.completed < BEHIND * summary.offered:
        yield Finding(
            "the server did not keep up",
            why=f"{summary.offered:.2f} requests/s were due, {summary.completed:.2f} were completed: "
            "the queue grew, and every latency depends on how long the test was",
            fix="a lower --rate, more replicas, or --sweep, which finds the rate that it can bear",
            severity="warning",
            rule="bench-saturated",
        )


def agreement(summary: Summary, server: ServerSide) -> Iterator[Finding]:
    """Where client and server differ, by how much, and what that means."""
    pairs = (("ttft", summary.ttft_sent.mean), ("itl", summary.itl.mean), ("e2e", summary.e2e_sent.mean))
    for name, mine in pairs:
        told = server.latencies.get(name, {})
        theirs, count = told.get("mean"), told.get("count", 0.0)
        if not theirs or not mine or abs(mine - theirs) <= max(CLOSE * mine, 0.002):
            continue
        if name != "itl" and abs(count - summary.requests) > SAME * summary.requests:
            continue  # others' requests, or the window's edges, are a large part of it
        yield Finding(
            f"{name} is {mine * 1000:.1f} ms to clients and {theirs * 1000:.1f} ms by the engine's count",
            why=_reason(name, mine > theirs),
            severity="note",
            rule="bench-disagreement",
        )


def _reason(name: str, slower: bool) -> str:
    if name == "itl":
        return (
            "the engine counts from step to step, a client what comes: tokens that come together, or wait "
            "for the API process, differ"
        )
    if slower:
        return "the way there, the gateway's and the API process's own queue, is in the client's time alone"
    return (
        "the engine counts requests of the same time that the test did not send, or ones outside its window"
    )


def broken(errors: Sequence[str]) -> Iterator[Finding]:
    """Processes of the load generator that failed."""
    for error in errors:
        yield Finding(
            "a process of the load generator failed",
            why=f"{error}: what it was sending is missing",
            fix="measure again; report it, should it happen again",
            rule="bench-broken",
        )
