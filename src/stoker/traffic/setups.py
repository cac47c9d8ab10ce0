"""What differs between the set-ups of two results, and whether they can be compared at all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stoker.findings import Finding
from stoker.traffic.result import Result

REQUESTS = ("input_len", "output_len", "prefix", "turns", "prompts", "shuffle", "trace", "trace_columns")
LOAD = ("rate", "arrivals", "burstiness", "users", "think_time", "spawn", "speed")
CLOSE = 0.02  # share by which mean lengths may differ without a word
ABSENT = "-"
Words = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the two set-ups have otherwise, in words."""

    what: str
    a: str
    b: str


def differences(a: Result, b: Result) -> tuple[Difference, ...]:
    """Everything of the set-ups that differs: tool, model, workload, engine, machine, spec. Of two tools,
    what both tell."""
    mine, theirs = _setup(a), _setup(b)
    names = [*mine, *(name for name in theirs if name not in mine)]
    pairs = ((name, mine.get(name, ABSENT), theirs.get(name, ABSENT)) for name in names)
    other = one_tool(a) != one_tool(b)
    return tuple(
        Difference(*pair) for pair in pairs if pair[1] != pair[2] and not (other and ABSENT in pair[1:])
    )


def one_tool(result: Result) -> str:
    """The tool's name without its version."""
    return result.tool.partition(" ")[0]


def _setup(result: Result) -> dict[str, str]:
    known = result.environment
    out = {
        "tool": result.tool,
        "kind": result.kind,
        "fleet": result.name,
        "model": result.model,
        "engine": known.engine,
        "machine": known.machine,
        "cores": str(known.cores or ""),
        "python": known.python,
        "objectives": str(result.objectives),
        "price an hour": "" if known.price is None else f"${known.price:.2f}",
        **{f"workload {name}": _plain(value) for name, value in result.workload.items()},
        **{f"spec {name}": text for name, text in flat(known.spec)},
    }
    return {name: text for name, text in out.items() if text}


def _plain(value: Any) -> str:
    """`20` for 20.0."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested values, by their paths: `hardware.gpus`, `2`. Nothing is left out but nothing."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        elif value not in (None, "", [], ()):
            yield f"{before}{name}", str(value)


def comparable(a: Result, b: Result) -> Iterator[Finding]:
    """What stands in the way of a comparison, gravest first."""
    for name, one in (("A", a), ("B", b)):
        if not one.holds:
            yield Finding(
                f"{name} cannot be believed",
                why="its load test was spoilt: its own report says how",
                fix=f"measure {name} again",
                severity="warning",
                rule="compare-believable",
            )
    yield from _model(a, b)
    yield from _words(a, b)
    yield from _lengths(a, b)
    yield from _ways(a, b)


def _model(a: Result, b: Result) -> Iterator[Finding]:
    if a.model and b.model and a.model != b.model:
        yield _differ("the models differ", f"{a.model} and {b.model}: another model has other work to do")


def _words(a: Result, b: Result) -> Iterator[Finding]:
    """Both of ours alone: the words of peers are theirs."""
    if {one_tool(a), one_tool(b)} != {"stoker"}:
        return
    yield from requests_differ(a.workload, b.workload)
    why = "latency depends on it, and throughput follows it"
    yield from _named(LOAD, a.workload, b.workload, "the load differs", why)


def requests_differ(a: Words, b: Words) -> Iterator[Finding]:
    """Of two workloads: whether their requests ask for the same work."""
    yield from _named(REQUESTS, a, b, "the requests differ", "what they ask for takes another time")


def _named(names: Sequence[str], a: Words, b: Words, what: str, why: str) -> Iterator[Finding]:
    other = [name for name in names if a.get(name) != b.get(name)]
    if other:
        pairs = ", ".join(f"{name} {a.get(name, ABSENT)} and {b.get(name, ABSENT)}" for name in other)
        yield _differ(what, f"{pairs}: {why}")


def _lengths(a: Result, b: Result) -> Iterator[Finding]:
    for what, mine, theirs in (("prompts", a.input, b.input), ("answers", a.output, b.output)):
        if mine and theirs and abs(mine - theirs) > CLOSE * max(mine, theirs):
            yield _differ(
                f"the {what} are not equally long", f"{mine:,.1f} and {theirs:,.1f} tokens on average"
            )


def _ways(a: Result, b: Result) -> Iterator[Finding]:
    if a.kind != b.kind:
        yield Finding(
            "one of them is simulated",
            why="its figures are those of a model of the engine",
            severity="note",
            rule="compare-kind",
        )
    if one_tool(a) != one_tool(b):
        yield Finding(
            f"measured by two tools: {a.tool} and {b.tool}",
            why="some of their definitions differ: notes say where",
            severity="note",
            rule="compare-tools",
        )


def _differ(what: str, why: str) -> Finding:
    return Finding(
        what, why=why, fix="measure both with the same", severity="warning", rule="compare-workload"
    )
