"""A workload as people ask for it: the same words as options, in a workload file and in `run.json`."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, get_args

from stoker.bounds import shown
from stoker.errors import UsageError
from stoker.traffic import lengths
from stoker.traffic.arrivals import Arrivals, ClosedLoop, Law, OpenLoop, Piece, Replay
from stoker.traffic.traces import Columns, Trace, read_columns
from stoker.traffic.workload import Given, Prompts, Recorded, Synthetic, Turn, Workload
from stoker.units import Seconds

# every word, with what it means: the options of `stoker bench`, the keys of a workload file
WORDS = {
    "rate": "Requests/s: `5`; `1..10` rises over the duration; `2:30s,8:1m` goes by steps.",
    "arrivals": "How they come: `poisson`, `constant`, or `gamma` with `burstiness`.",
    "burstiness": "Shape of gamma's gaps: below 1 requests come in bursts, 1 is Poisson.",
    "users": "So many users in place of a rate: each sends, waits for the answer, thinks, sends again.",
    "think_time": "Seconds between an answer and the next request of a user or a conversation.",
    "spawn": "Seconds over which the users begin.",
    "trace": "Replay a trace: Azure's CSV, Mooncake's JSONL, BurstGPT's CSV, or your own columns.",
    "trace_columns": "Its columns: `at=NAME,input=NAME,output=NAME[,hashes=NAME][,unit=ms]`.",
    "speed": "How much faster than it was recorded.",
    "input_len": "Prompt tokens, as the server counts them: `512`, `64..256`, `normal(512,100)`, "
    "`lognormal(MEAN,MEDIAN)`, `exponential(128)`.",
    "output_len": "Answer tokens, in the same forms.",
    "prefix": "Shared beginnings of prompts: `4x1024` is four of 1,024 tokens.",
    "turns": "Requests a conversation, each with the answers before: `5`, `2..8`.",
    "prompts": "Prompts of a JSONL file (`prompt` or `messages`, `max_tokens`), or `guide`: the guide's two.",
    "shuffle": "Choose among these at random.",
    "duration": "Seconds of new requests: `1m`. Default: as long as the rate's steps; else a minute.",
    "requests": "Conversations in all, in place of a duration.",
    "warmup": "Seconds at the beginning that are sent and not measured. Default: a tenth, 30s at most.",
    "seed": "The same seed gives the same requests at the same times.",
}
DURATION, USERS = 60.0, 8
INPUT, OUTPUT = 512, 128
MOST_USERS, MOST_RATE = 100_000, 1e6
_SHARE, _LONGEST = 0.1, 30.0  # of a duration that is warm-up; seconds


class Asked(NamedTuple):
    """What was asked for one word, and where: an option's name, or a place in a file."""

    value: Any
    at: str = ""


Words = Mapping[str, Asked]


@dataclass(frozen=True, slots=True)
class Files:
    """How files that a workload names are read: a trace, and prompts."""

    trace: Callable[[str, Columns | None], Trace]
    prompts: Callable[[str], tuple[Turn, ...]]


def read(words: Words, files: Files) -> Workload:
    """The workload that was asked for; what is left out has its default. Raises: UsageError, with the place
    and what is expected."""
    _together(words)
    trace = _trace(words, files)
    limit = _whole(words, "requests", 1, 100_000_000)
    duration = _seconds(words, "duration", None)
    if duration is None:
        duration = math.inf if limit is not None or trace is not None else _steps(words) or DURATION
    arrivals = _arrivals(words, duration)
    warmup = _seconds(words, "warmup", None)
    if warmup is None:
        warmup = min(_LONGEST, _SHARE * duration) if duration < math.inf else 0.0
    if warmup >= duration:
        raise _wrong(words, "warmup", "nothing would be measured", "less than the duration")
    prompts = _prompts(words, files, trace)
    return Workload(arrivals, prompts, duration, limit, _whole(words, "seed", 0, 2**53) or 0, warmup)


def plain(words: Words) -> dict[str, Any]:
    """The words as plain values, for `run.json`."""
    return {name: asked.value for name, asked in words.items() if asked.value is not None}


# what excludes what: a word, and those that say the same thing in another way
_APART = (
    ("users", ("rate", "arrivals", "burstiness", "trace", "speed")),
    ("trace", ("rate", "arrivals", "burstiness", "prompts", "input_len", "output_len", "prefix", "turns")),
    ("prompts", ("input_len", "prefix", "turns", "trace")),
)
_NEEDS = (("spawn", "users"), ("speed", "trace"), ("trace_columns", "trace"), ("shuffle", "prompts"))


def _together(words: Words) -> None:
    for name, others in _APART:
        for other in others:
            if name in words and other in words:
                raise _wrong(words, other, f"{name} is given too, which says it in another way", "keep one")
    for name, other in _NEEDS:
        if name in words and other not in words:
            raise _wrong(words, name, f"it says something only with {other}", f"{other}, or leave it out")
    if "burstiness" in words and words.get("arrivals", Asked("gamma")).value != "gamma":
        raise _wrong(words, "burstiness", "only gamma's gaps have it", "arrivals: gamma")


def _steps(words: Words) -> float | None:
    """How long steps of a rate last together; None of any other rate, and of steps that cannot be read."""
    text = str(words["rate"].value) if "rate" in words else ""
    if ":" not in text:
        return None
    pieces = _rate(words, DURATION)
    return sum(piece.seconds for piece in pieces)


def _arrivals(words: Words, duration: float) -> Arrivals:
    think = _seconds(words, "think_time", 0.0) or 0.0
    if "trace" in words:
        return Replay(_number(words, "speed", 1.0, 1e-6, 1e6))
    if "rate" not in words and "arrivals" not in words and "burstiness" not in words:
        users = _whole(words, "users", 1, MOST_USERS) or USERS
        return ClosedLoop(users, think, _seconds(words, "spawn", 0.0) or 0.0)
    law = words.get("arrivals", Asked("gamma" if "burstiness" in words else "poisson")).value
    if law not in get_args(Law):
        raise _wrong(words, "arrivals", f"expected {', '.join(get_args(Law))}", "poisson")
    pieces = _rate(words, duration)
    return OpenLoop(pieces, law, _number(words, "burstiness", 1.0, 0.01, 100.0))


def _rate(words: Words, duration: float) -> tuple[Piece, ...]:
    asked = words.get("rate")
    text = str(asked.value).replace("/s", "").strip() if asked is not None else ""
    number = r"([0-9]{1,7}(?:\.[0-9]{1,17})?)"
    try:
        if found := re.fullmatch(number, text):
            rate = _positive(found[1])
            return (Piece(math.inf, rate, rate),)
        if (found := re.fullmatch(rf"{number}\.\.{number}", text)) and duration < math.inf:
            low, high = float(found[1]), float(found[2])
            _positive(str(max(low, high)))
            return (Piece(duration, low, high),)
        steps = [re.fullmatch(rf"{number}:([0-9a-z.]+)", step.strip()) for step in text.split(",")]
        if all(steps):
            return tuple(_step(step[1], step[2]) for step in steps if step)
    except ValueError as error:
        raise _wrong(words, "rate", str(error), "--rate 5") from None
    why = "a rise needs a duration" if ".." in text else "expected 5, 1..10 or 2:30s,8:1m (requests/s)"
    raise _wrong(words, "rate", why, "--rate 5")


def _positive(text: str) -> float:
    if not 0 < float(text) <= MOST_RATE:
        raise ValueError(f"a rate is above 0 and at most {MOST_RATE:g} requests/s")
    return float(text)


def _step(rate: str, seconds: str) -> Piece:
    found = float(Seconds.parse(seconds))
    if not found or float(rate) > MOST_RATE:
        raise ValueError("a step has a rate, and lasts some time")
    return Piece(found, float(rate), float(rate))


def _prompts(words: Words, files: Files, trace: Trace | None) -> Prompts:
    if trace is not None:
        return Recorded(trace.rows, trace.block, trace.skipped, trace.sorted)
    if "prompts" in words:
        output = _lengths(words, "output_len", None)
        given = files.prompts(str(words["prompts"].value))
        if output is not None and output.kind == "fixed":
            given = tuple(Turn(t.parts, int(output.a), t.think, t.text, t.messages) for t in given)
        elif output is not None:
            raise _wrong(
                words, "output_len", "given prompts take one length for all answers", "output_len: 128"
            )
        return Given(given, bool(words.get("shuffle", Asked(False)).value))
    count, size = _prefix(words)
    return Synthetic(
        _lengths(words, "input_len", INPUT) or lengths.fixed(INPUT),
        _lengths(words, "output_len", OUTPUT) or lengths.fixed(OUTPUT),
        count,
        size,
        _lengths(words, "turns", 1) or lengths.fixed(1),
        _seconds(words, "think_time", 0.0) or 0.0,
    )


def _trace(words: Words, files: Files) -> Trace | None:
    if "trace" not in words:
        return None
    columns = None
    if "trace_columns" in words:
        try:
            columns = read_columns(str(words["trace_columns"].value))
        except ValueError as error:
            raise _wrong(words, "trace_columns", str(error), "at=TIME,input=PROMPT,output=ANSWER") from None
    return files.trace(str(words["trace"].value), columns)


def _prefix(words: Words) -> tuple[int, int]:
    if "prefix" not in words:
        return 0, 0
    found = re.fullmatch(r"\s*([0-9]{1,6})\s*x\s*([0-9]{1,8})\s*", str(words["prefix"].value))
    if found is None or not int(found[1]) or not int(found[2]):
        raise _wrong(words, "prefix", "expected a number of beginnings and their tokens", "4x1024")
    return int(found[1]), int(found[2])


def _lengths(words: Words, name: str, default: int | None) -> lengths.Lengths | None:
    if name not in words:
        return None if default is None else lengths.fixed(default)
    try:
        return lengths.parse(words[name].value)
    except ValueError as error:
        raise _wrong(words, name, str(error), f"{name}: 128") from None


def _seconds(words: Words, name: str, default: float | None) -> float | None:
    if name not in words:
        return default
    value = words[name].value
    try:
        text = str(value)
        found = float(Seconds.parse(float(text) if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else value))
    except ValueError as error:
        raise _wrong(words, name, str(error), f"{name}: 30s") from None
    if name == "duration" and not found:
        raise _wrong(words, name, "nothing would be sent", "duration: 1m")
    return found


def _whole(words: Words, name: str, least: int, most: int) -> int | None:
    if name not in words:
        return None
    value = words[name].value
    if re.fullmatch(r"[0-9]{1,18}", str(value)) and least <= int(value) <= most:
        return int(value)
    raise _wrong(words, name, f"expected a whole number from {least} to {most:,}", f"{name}: {max(least, 1)}")


def _number(words: Words, name: str, default: float, least: float, most: float) -> float:
    if name not in words:
        return default
    text = str(words[name].value)
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) and least <= float(text) <= most:
        return float(text)
    raise _wrong(words, name, f"expected a number from {least:g} to {most:g}", f"{name}: 1")


def _wrong(words: Words, name: str, why: str, fix: str) -> UsageError:
    asked = words.get(name, Asked(None))
    return UsageError(f"{name}: {shown(asked.value)}", at=asked.at, why=why, fix=fix, rule="workload")
