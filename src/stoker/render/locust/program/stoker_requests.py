"""What a load test sends: from its seed alone, so that all processes know it, and no two send the same.

The same as `stoker.traffic` has it (workload, arrivals, lengths, texts), in a form that stands alone.
"""

import itertools
import json
import math
from collections.abc import Iterator
from random import Random
from typing import Any

# --- the workload
HOST = "http://127.0.0.1:8000"  # unless --host names another
MODEL = "model"
WORKLOAD: dict[str, Any] = {
    "arrivals": {"users": 8, "think_time": 0.0, "spawn": 0.0},
    "prompts": {"given": [{"text": "What is a load test?", "output": 128}], "shuffled": False},
    "duration": 60.0,
    "limit": None,
    "seed": 0,
    "warmup": 6.0,
}
FIRST = "Please"  # every prompt of words begins with it
WORDS: tuple[str, ...] = ()
# --- its end


ARRIVALS, PROMPTS, SEED = WORKLOAD["arrivals"], WORKLOAD["prompts"], WORKLOAD["seed"]
DURATION, LIMIT, WARMUP = WORKLOAD["duration"] or math.inf, WORKLOAD["limit"], WORKLOAD["warmup"]
USERS = ARRIVALS.get("users")  # None: an open loop
COMMON = {
    "model": MODEL,
    "stream": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},  # the second: vLLM's own
    "temperature": 0,
}


def dues() -> Iterator[float]:
    """Seconds from the start at which conversations of an open loop begin."""
    if "speed" in ARRIVALS:
        yield from (row[0] / ARRIVALS["speed"] for row in PROMPTS["rows"])
        return
    random, law = Random(f"{SEED}/arrivals"), ARRIVALS["law"]
    due, began, before = -1.0 if law == "constant" else 0.0, 0.0, 0.0
    pieces = iter((seconds or math.inf, low, high) for seconds, low, high in ARRIVALS["pieces"])
    seconds, low, high = next(pieces)
    while True:
        due += gap(law, random)
        while due - before >= seconds * (low + high) / 2:
            began, before = began + seconds, before + seconds * (low + high) / 2
            following = next(pieces, None)
            seconds, low, high = following or (math.inf, high, high)
        if seconds == math.inf and not low:
            return
        yield began + (due - before) * when(seconds, low, high, due - before)


def gap(law: str, random: Random) -> float:
    """The next gap, of mean 1: the rate stretches it."""
    if law == "constant":
        return 1.0
    shape = ARRIVALS["burstiness"]
    return random.expovariate(1.0) if law == "poisson" else random.gammavariate(shape, 1 / shape)


def when(seconds: float, low: float, high: float, count: float) -> float:
    """Seconds for each of so many requests, in a stretch whose rate goes evenly from `low` to `high`."""
    rise = 0.0 if seconds == math.inf else (high - low) / seconds
    if not rise:
        return 1 / low
    return 2 / (low + math.sqrt(max(0.0, low**2 + 2 * rise * count)))


def sessions(worker: int, workers: int) -> Iterator[tuple[int, float]]:
    """The conversations of an open loop that are this process's: number, and seconds from the start."""
    most = len(PROMPTS["rows"]) if "rows" in PROMPTS else None
    most = min(one for one in (most, LIMIT, 10**12) if one is not None)
    for index, due in enumerate(itertools.islice(dues(), most)):
        if due >= DURATION:
            return
        if index % workers == worker:
            yield index, due


def draw(lengths: list[Any], random: Random) -> int:
    """A number of words or tokens."""
    kind, a, b = lengths
    if kind == "fixed":
        return int(a)
    if kind == "uniform":
        return random.randint(int(a), int(b))
    if kind == "normal":
        found = random.gauss(a, b)
    elif kind == "lognormal":
        found = random.lognormvariate(math.log(b), math.sqrt(2 * math.log(a / b)))
    else:
        found = random.expovariate(1 / a)
    return min(10_000_000, max(1, round(found)))


def turns(index: int) -> list[dict[str, Any]]:
    """The requests of a conversation: messages that each adds, tokens of its answer, the pause before it."""
    random = Random(f"{SEED}/{index}")
    if "given" in PROMPTS:
        given = PROMPTS["given"]
        turn = given[(random.randrange(len(given)) if PROMPTS["shuffled"] else index) % len(given)]
        return [
            {"messages": turn.get("messages") or said(turn["text"]), "output": turn["output"], "think": 0}
        ]
    if "rows" in PROMPTS:
        return [{"messages": said(recorded(index)), "output": PROMPTS["rows"][index][2], "think": 0}]
    return list(made(index, random))


def made(index: int, random: Random) -> Iterator[dict[str, Any]]:
    """A conversation of words; its first prompt may begin as others do."""
    shared = PROMPTS["prefix"] if PROMPTS["prefixes"] else 0
    for turn in range(draw(PROMPTS["turns"], random)):
        count, parts = draw(PROMPTS["input"], random), []
        if shared and not turn:
            parts = [(f"{SEED}/prefix/{random.randrange(PROMPTS['prefixes'])}", min(shared, count - 1))]
            count = max(1, count - shared)
        text = words([*parts, (f"{SEED}/{index}/{turn}", count)])
        output = draw(PROMPTS["output"], random)
        yield {"messages": said(text), "output": output, "think": PROMPTS["think"] if turn else 0}


def recorded(index: int) -> str:
    """A prompt of a trace: blocks of the same name are the same words."""
    _, left, _, names = PROMPTS["rows"][index]
    parts = []
    for name in names:
        if left > 0:
            parts.append((f"{SEED}/block/{name}", min(PROMPTS["block"], left)))
            left -= parts[-1][1]
    return words([*parts, (f"{SEED}/{index}/0", left)] if left > 0 else parts)


def words(parts: list[tuple[str, int]]) -> str:
    """So many words: for the same key the same, and the longer begins as the shorter does."""
    spare, pieces = 1, [FIRST]  # the first word is one of them
    for key, count in parts:
        taken = min(spare, count)
        spare -= taken
        if count > taken:
            pieces.append(" ".join(Random(key).choices(WORDS, k=count - taken)))
    return " ".join(pieces)


def said(text: str) -> list[dict[str, Any]]:
    """What a user says, as a message."""
    return [{"role": "user", "content": text}]


def body(messages: list[dict[str, Any]], output: int | None) -> bytes:
    """A request; answers are as long as asked (`ignore_eos` is vLLM's own)."""
    exact = {} if output is None else {"max_tokens": output, "ignore_eos": True}
    return json.dumps({**COMMON, "messages": messages, **exact}).encode()
