"""vLLM's start-up log, line by line: the phase it is in, and what it says of its memory."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

StartPhase = Literal["Starting", "Loading", "Warming", "Ready"]


@dataclass(frozen=True, slots=True)
class StartLog:
    """How far a start is. Sizes are in GiB, as vLLM prints them; None where it has not said so yet."""

    phase: StartPhase = "Starting"
    detail: str = ""
    model_gib: float | None = None
    kv_gib: float | None = None
    kv_tokens: int | None = None
    max_concurrency: float | None = None

    def feed(self, line: str) -> "StartLog":
        """The state after one more line."""
        for pattern, act in _RULES:
            if (match := pattern.search(line)) is not None:
                return act(self, match)
        return self


_Act = Callable[[StartLog, re.Match[str]], StartLog]


def _at(phase: StartPhase, detail: str) -> _Act:
    return lambda log, match: replace(log, phase=phase, detail=match.expand(detail))


def _loaded(log: StartLog, match: re.Match[str]) -> StartLog:
    gib = float(match[1])
    return replace(log, phase="Warming", detail=f"model loaded: {gib:g} GiB in {float(match[2]):.1f} s", model_gib=gib)


def _kv_size(log: StartLog, match: re.Match[str]) -> StartLog:
    return replace(log, phase="Warming", detail=f"KV cache: {match[1]} GiB", kv_gib=float(match[1]))


def _kv_tokens(log: StartLog, match: re.Match[str]) -> StartLog:
    tokens = int(match[1].replace(",", ""))
    return replace(log, phase="Warming", detail=f"KV cache: {tokens:,} tokens", kv_tokens=tokens)


def _concurrency(log: StartLog, match: re.Match[str]) -> StartLog:
    return replace(log, max_concurrency=float(match[1]))


_RULES: tuple[tuple[re.Pattern[str], _Act], ...] = tuple(
    (re.compile(pattern), act)
    for pattern, act in (
        (r"non-default args", _at("Starting", "reading the configuration")),
        (r"Initializing a V1 LLM engine", _at("Starting", "starting the engine core")),
        (r"world_size=\d+ rank=\d+", _at("Starting", "joining the ranks")),
        (r"Starting to load model", _at("Loading", "loading the model")),
        (r"Loading safetensors checkpoint shards:\s+\d+% Completed \| (\d+)/(\d+)", _at("Loading", r"shard \1 of \2")),
        (r"Loading weights took ([\d.]+) s", _at("Loading", r"weights read in \1 s")),
        (r"Model loading took ([\d.]+) GiB.*? (?:and )?([\d.]+) seconds", _loaded),
        (r"Available KV cache memory: ([\d.]+) GiB", _kv_size),
        (r"KV cache size: ([\d,]+) tokens", _kv_tokens),
        (r"Maximum concurrency for [\d,]+ tokens per request: ([\d.]+)x", _concurrency),
        (r"Dynamo bytecode transform time|Compiling a graph|torch\.compile takes", _at("Warming", "compiling")),
        (r"Capturing CUDA graphs?.*?(\d+)/(\d+)", _at("Warming", r"capturing CUDA graphs, \1 of \2")),
        (r"Warming up model", _at("Warming", "warming up")),
        (r"init engine .*took ([\d.]+) s", _at("Warming", r"engine ready after \1 s")),
        (r"Starting vLLM (?:API )?server", _at("Warming", "opening the API")),
        (r"Application startup complete", _at("Ready", "")),
    )
)
