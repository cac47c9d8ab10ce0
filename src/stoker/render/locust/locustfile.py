"""The locustfile of a workload: one file that stands alone, put together from the programs beside this."""

import textwrap
from functools import cache
from importlib.resources import files
from typing import Any

from stoker.errors import UsageError
from stoker.traffic.arrivals import ClosedLoop, OpenLoop, Replay
from stoker.traffic.lengths import Lengths
from stoker.traffic.texts import COMMON, FIRST
from stoker.traffic.workload import Given, Recorded, Synthetic, Turn, Workload
from stoker.units import Bytes

NAME = "locustfile.py"
KEY = "ENDPOINT_KEY"  # the environment variable that holds the endpoint's key
WIDTH = 110
LARGEST = Bytes(900 * 1024)  # of the file: a ConfigMap takes 1 MiB
_PARTS = ("stoker_answers", "stoker_requests")
_BEGIN, _END = "# --- the workload\n", "# --- its end\n"


def locustfile(workload: Workload, host: str, model: str) -> str:
    """The file's text. host: where the endpoint is, unless `--host` names another.

    Raises: UsageError, for a workload without an end, or one that is too large for a cluster's ConfigMap.
    """
    if not workload.ends:
        raise UsageError(
            "the workload has no end",
            why="Locust would send it for ever",
            fix="duration: 1m, or requests: 100",
        )
    before, _, rest = _program().partition(_BEGIN)
    text = before + _BEGIN + _settings(workload, host, model) + _END + rest.partition(_END)[2]
    if len(text.encode()) > LARGEST:
        raise UsageError(
            f"the locustfile would have {Bytes(len(text.encode()))}",
            why=f"its prompts or its trace stand in it, and a ConfigMap takes {LARGEST} of it",
            fix="fewer of them, or `stoker bench`, which reads files of any size",
            rule="locust-size",
        )
    return text


def _settings(workload: Workload, host: str, model: str) -> str:
    plain = {
        "arrivals": _arrivals(workload),
        "prompts": _prompts(workload),
        "duration": _finite(workload.duration),
        "limit": workload.limit,
        "seed": workload.seed,
        "warmup": workload.warmup,
    }
    words = COMMON if not isinstance(workload.prompts, Given) else ()
    return (
        f"HOST = {host!r}  # unless --host names another\n"
        f"MODEL = {model!r}\n"
        f"WORKLOAD: dict[str, Any] = {_table(plain)}\n"
        f"FIRST = {FIRST!r}  # every prompt of words begins with it\n"
        f"WORDS = {_tuple(words)}\n"
    )


def _arrivals(workload: Workload) -> dict[str, Any]:
    match workload.arrivals:
        case ClosedLoop(users, think_time, spawn):
            return {"users": users, "think_time": think_time, "spawn": spawn}
        case Replay(speed):
            return {"speed": speed}
        case OpenLoop(pieces, law, burstiness):
            rates = [[_finite(one.seconds), one.low, one.high] for one in pieces]
            return {"law": law, "burstiness": burstiness, "pieces": rates}


def _prompts(workload: Workload) -> dict[str, Any]:
    match workload.prompts:
        case Given(turns, shuffled):
            return {"given": [_turn(one) for one in turns], "shuffled": shuffled}
        case Recorded(rows, block):
            return {
                "rows": [[one.at, one.input, one.output, list(one.hashes)] for one in rows],
                "block": block,
            }
        case Synthetic() as made:
            return {
                "input": _lengths(made.input),
                "output": _lengths(made.output),
                "prefixes": made.prefixes,
                "prefix": made.prefix,
                "turns": _lengths(made.turns),
                "think": made.think,
            }


def _turn(turn: Turn) -> dict[str, Any]:
    said = {"messages": [dict(one) for one in turn.messages]} if turn.messages else {"text": turn.text}
    return {**said, "output": turn.output}


def _lengths(lengths: Lengths) -> list[Any]:
    return [lengths.kind, lengths.a, lengths.b]


def _finite(seconds: float) -> float | None:
    return None if seconds == float("inf") else seconds


def _table(value: dict[str, Any], indent: str = "    ") -> str:
    """A table as Python writes it, an entry a line."""
    lines = [f"{indent}{key!r}: {_entry(one, indent)}," for key, one in value.items()]
    return "\n".join(["{", *lines, indent[4:] + "}"])


def _entry(value: Any, indent: str) -> str:
    if isinstance(value, dict):
        return _table(value, indent + "    ")
    if not isinstance(value, list) or not value or not isinstance(value[0], list | dict):
        return repr(value)
    return "\n".join(["[", *(f"{indent}    {one!r}," for one in value), f"{indent}]"])


def _tuple(words: tuple[str, ...]) -> str:
    """So many words, as many lines as they need."""
    if not words:
        return "()"
    lines = textwrap.wrap(" ".join(words), WIDTH - 10)
    return "\n".join(["tuple(", '    """', *(f"    {line}" for line in lines), '    """.split()', ")"])


@cache
def _program() -> str:
    """The programs as one: their imports once, then the parts in place of the line that imports them."""
    texts = [_text(name) for name in ("locustfile", *_PARTS)]
    heads, bodies = zip(*(_parted(text) for text in texts), strict=True)
    lines = {line for head in heads for line in head if not line.startswith("from stoker_")}
    own = sorted((one for one in lines if _foreign(one)), key=_order)
    standard = sorted((one for one in lines if not _foreign(one)), key=_order)
    doc = texts[0].partition('"""\n\n')[0] + '"""\n'
    parts = "\n\n".join(body.strip("\n") + "\n" for body in (bodies[2], bodies[1], bodies[0]))
    return "\n".join([doc, *standard, "", *own, "", parts])


def _parted(text: str) -> tuple[list[str], str]:
    """The imports of a program, and what comes after them."""
    lines = text.splitlines(keepends=True)
    at = [number for number, line in enumerate(lines) if line.startswith(("import ", "from "))]
    return [lines[number].rstrip() for number in at], "".join(lines[at[-1] + 1 :])


def _foreign(line: str) -> bool:
    return line.split()[1].partition(".")[0] in ("gevent", "locust")


def _order(line: str) -> tuple[bool, str]:
    return line.startswith("from "), line


def _text(name: str) -> str:
    return files("stoker.render.locust").joinpath(f"program/{name}.py").read_text("utf-8")
