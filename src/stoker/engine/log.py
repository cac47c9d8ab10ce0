"""vLLM's start-up log, line by line: the phase it is in, and what it says of its memory.

Source: vLLM 0.19 to 0.33, logger calls in `v1/worker/`, `v1/core/kv_cache_utils.py`, `v1/engine/core.py`,
`model_executor/model_loader/`, `compilation/`, `entrypoints/`; a real log of the CPU build is a test.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

StartPhase = Literal["Starting", "Loading", "Warming", "Ready", "Failed"]
_ORDER: Mapping[StartPhase, int] = {"Starting": 0, "Loading": 1, "Warming": 2, "Ready": 3, "Failed": 4}

# phase, pattern, detail; {1} is the first group, {1:.1f} is it as a number
_TABLE: tuple[tuple[StartPhase, str, str], ...] = (
    (
        "Failed",
        r"EngineCore failed to start|Engine core initialization failed",
        "the engine core did not start",
    ),
    ("Failed", r"EngineCore encountered a fatal error", "the engine core failed"),
    ("Failed", r"^(?:vllm|\S+\.py)[ \w]*: error: (.*)", "{1}"),
    ("Starting", r"stoker group: (?!Error)(.*)", "{1}"),
    ("Starting", r"(?:server|█ ) version (\d\S*)", "starting vLLM {1}"),
    ("Starting", r"non-default args:", "reading the options"),
    ("Starting", r"Resolved architecture: (\w+)", "reading the model's config ({1})"),
    ("Starting", r"Initializing a V1 LLM engine", "starting the engine core"),
    ("Starting", r"world_size=(\d+) rank=(\d+)", "rank {2} of {1} joins"),
    ("Loading", r"Starting to load model|Loading model from scratch", "loading the model"),
    ("Loading", r"Checkpoint size: ([\d.]+) GiB", "loading weights: {1} GiB"),
    ("Loading", r"Time spent downloading weights .*: ([\d.]+) s", "weights downloaded in {1:.1f} s"),
    ("Loading", r"[Ll]oad.*Completed \| (\d+)/(\d+) ", "loading weights {1} of {2} shards"),
    ("Loading", r"Loading weights took ([\d.]+) s", "weights loaded in {1:.1f} s"),
    ("Warming", r"Model loading took ([\d.]+) GiB.* ([\d.]+) s", "model loaded: {1:.2f} GiB in {2:.1f} s"),
    ("Warming", r"Warming up (?:model|.*kernels)|JIT kernel warmup starting", "warming up"),
    ("Warming", r"Compil\w+ and warming up model for size (\d+)", "compiling for size {1}"),
    ("Warming", r"Directly load .*(?:compil|graph)", "loading compiled graphs from the cache"),
    (
        "Warming",
        r"Dynamo bytecode transform|Compiling a graph|Starting torch\.compile|Cache the graph",
        "compiling",
    ),
    ("Warming", r"torch\.compile (?:takes|took) ([\d.]+) s", "compiled in {1:.0f} s"),
    ("Warming", r"Memory profiling takes|Profiling CUDA graph memory", "measuring memory"),
    ("Warming", r"Initial profiling/warmup run took ([\d.]+) s", "measured memory in {1:.1f} s"),
    ("Warming", r"Capturing CUDA graphs.*?\| *(\d+)/(\d+) ", "capturing CUDA graphs {1} of {2}"),
    ("Warming", r"Graph capturing finished in ([\d.]+) s", "captured CUDA graphs in {1:.0f} s"),
    ("Warming", r"init engine .*took ([\d.]+) s", "engine core ready after {1:.1f} s"),
    ("Warming", r"Starting vLLM (?:API )?server", "opening the API"),
    ("Ready", r"Application startup complete", ""),
)
_PHASES = tuple((phase, re.compile(pattern), detail) for phase, pattern, detail in _TABLE)

_SIZES = {
    "model_gib": re.compile(r"Model loading took ([\d.]+) GiB"),
    "kv_gib": re.compile(
        r"Available KV cache memory: ([\d.]+) GiB|(?:Explicitly|Auto) set \(([\d.]+)/[\d.]+\) GiB for KV"
    ),
    "kv_tokens": re.compile(r"KV cache size: ([\d,]+) tokens"),
    "max_concurrency": re.compile(r"Maximum concurrency for [\d,]+ tokens per request: ([\d.]+)x"),
    "kv_blocks": re.compile(r"num_gpu_blocks is: (\d+)|# \w+ blocks: (\d+)"),
    "weights_gib": re.compile(r"Actual usage is ([\d.]+) GiB for weight"),
    "consumed_gib": re.compile(r"([\d.]+) GiB for consumed memory"),
    "activations_gib": re.compile(r"([\d.]+) GiB for peak activation"),
    "other_gib": re.compile(r"([\d.]+) GiB for non-torch memory"),
    "graphs_gib": re.compile(r"([\d.]+) GiB for CUDAGraph memory"),
}
_WHOLE = ("kv_tokens", "kv_blocks")


def phase_of(line: str) -> tuple[StartPhase, str] | None:
    """The phase that a line announces, with a detail for people; None for all other lines."""
    for phase, pattern, detail in _PHASES:
        if (match := pattern.search(line)) is not None:
            return phase, _filled(detail, match)
    if any(_SIZES[name].search(line) for name in ("kv_gib", "kv_tokens")):
        return "Warming", _kv_words(sizes_of(line))
    return None


def sizes_of(line: str) -> dict[str, Any]:
    """The memory figures of a line, by the fields of StartLog."""
    found: dict[str, Any] = {}
    for name, pattern in _SIZES.items():
        if (match := pattern.search(line)) is not None:
            text = next(group for group in match.groups() if group).replace(",", "")
            found[name] = int(text) if name in _WHOLE else float(text)
    return found


@dataclass(frozen=True, slots=True)
class StartLog:
    """How far a start is. Sizes are GiB of one rank, as vLLM prints them; None where it has not said so.

    consumed_gib is weights and other together, as releases since 0.27 print them.

    The phase never goes back: of several ranks the first one counts, and a slower one's progress is left out.
    """

    phase: StartPhase = "Starting"
    detail: str = ""
    model_gib: float | None = None
    kv_gib: float | None = None
    kv_tokens: int | None = None
    max_concurrency: float | None = None
    kv_blocks: int | None = None
    weights_gib: float | None = None
    consumed_gib: float | None = None
    activations_gib: float | None = None
    other_gib: float | None = None
    graphs_gib: float | None = None

    def feed(self, line: str) -> "StartLog":
        """The state after one more line. Of a progress bar that redraws itself, the last drawing counts."""
        line = line.rstrip("\r\n").rpartition("\r")[2]
        sizes = sizes_of(line)
        log = replace(self, **sizes) if sizes else self
        said = phase_of(line)
        if said is None or _ORDER[said[0]] < _ORDER[log.phase]:
            return log
        kv = log.kv_gib is not None and log.kv_tokens is not None and sizes.keys() & {"kv_gib", "kv_tokens"}
        detail = _kv_words({"kv_gib": log.kv_gib, "kv_tokens": log.kv_tokens}) if kv else said[1]
        return replace(log, phase=said[0], detail=detail)


def _kv_words(sizes: Mapping[str, Any]) -> str:
    gib, tokens = sizes.get("kv_gib"), sizes.get("kv_tokens")
    words = (f"{gib:.1f} GiB" if gib is not None else "", f"{tokens:,} tokens" if tokens is not None else "")
    return "KV cache: " + ", ".join(word for word in words if word)


def _filled(detail: str, match: re.Match[str]) -> str:
    """The detail with the match's groups; those with a format are numbers."""
    groups = re.sub(r"\{(\d):([^}]*)\}", lambda m: format(float(match[int(m[1])]), m[2]), detail)
    return re.sub(r"\{(\d)\}", lambda m: match[int(m[1])], groups)
