"""How each vLLM release sizes memory. Source: `data/memory.toml`, each row with its own sources."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """The rules that hold since a release.

    sampler: bytes for each sampled row and vocabulary entry at the profile run's peak. graphs_counted:
    whether the memory of CUDA graphs is taken from the KV cache. in_flight_batches: batches whose tokens a
    sliding window may still hold. capacity: whether the log's tokens are blocks, or concurrency times length.
    non_torch and
    non_torch_parallel: GiB beside PyTorch's, for one rank and for more.
    """

    since: str
    utilization: float
    sampler: int
    sampler_buffer: bool
    graphs_counted: bool
    in_flight_batches: int
    capacity: Literal["blocks", "concurrency"]
    whole_prompts: bool
    large_batches: bool
    non_torch: float
    non_torch_parallel: float
    sources: tuple[str, ...]


@cache
def _rules() -> tuple[MemoryRules, ...]:
    raw: dict[str, Any] = tomllib.loads(files("stoker.catalog").joinpath("data/memory.toml").read_text())
    return tuple(MemoryRules(**{**row, "sources": tuple(row["sources"])}) for row in raw["rules"])


def numbers(version: str) -> tuple[int, ...]:
    """`0.5.3.post1` as (0, 5, 3): what two releases are compared by."""
    out = []
    for part in version.removeprefix("v").split("."):
        digits = "".join(c for c in part if c.isdigit()) if part[:1].isdigit() else ""
        if not digits:
            break
        out.append(int(digits))
    return tuple(out)


@cache
def memory_rules(version: str) -> MemoryRules:
    """The rules of a release, known to the catalog or not."""
    mine = numbers(version)
    return [rules for rules in _rules() if numbers(rules.since) <= mine][-1]
