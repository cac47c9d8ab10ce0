"""How each vLLM release sizes memory. Source: `data/memory.toml`, each row with its own sources."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class MemoryRules:
    """The rules that hold since a release.

    sampler: bytes for each sampled row and vocabulary entry at the peak of the first runner's profile run;
    sampler_buffer: a row of float32 a multiprocessor beside them. graphs_counted and graphs_counted_v2:
    whether each runner takes the memory of CUDA graphs off the KV cache. in_flight: whether a window holds
    a batch, or as many as run at once. capacity: whether the log's tokens are blocks, or concurrency times
    length. whole_prompts: batches as long as the longest prompt, but `long_batch` where that is above
    32,768. large_batches, huge_batches: defaults of their own for GPUs of 70 and of 160 GiB.
    whole_allocations: weights above 20 MiB round up to 2 MiB. kept_workspace: what experts work in stays.
    group_slack: how much larger the largest kind of layers may be than the smallest, to be the size of all
    groups. chunked_groups: whether local attention in chunks has groups of its own. hybrid_prefixes: what a
    request keeps of states for its prefix, where nobody says. non_torch and fabric: GiB beside PyTorch's,
    of one rank, and of more that share NVLink switches.
    """

    since: str
    utilization: float
    sampler: int
    sampler_buffer: bool
    graphs_counted: bool
    graphs_counted_v2: bool
    in_flight: Literal["batch", "concurrent"]
    capacity: Literal["blocks", "concurrency"]
    whole_prompts: bool
    long_batch: int
    large_batches: bool
    large_on_a100: bool
    huge_batches: bool
    whole_allocations: bool
    kept_workspace: bool
    group_slack: float
    chunked_groups: bool
    hybrid_prefixes: Literal["none", "all", "align", "checkpoint"]
    non_torch: float
    fabric: float
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunnerRules:
    """Which models the second model runner serves by default since a release; images: whether its profile
    run has some."""

    since: str
    architectures: tuple[str, ...]
    dense: bool
    quantized: bool
    hybrid: bool
    every: bool
    images: bool
    sources: tuple[str, ...]


@cache
def all_rules() -> tuple[tuple[MemoryRules, ...], tuple[RunnerRules, ...]]:
    """Every row of the table: how memory is sized, and whom the second runner serves."""
    raw: dict[str, Any] = tomllib.loads(files("stoker.catalog").joinpath("data/memory.toml").read_text())
    rules = tuple(MemoryRules(**row) for row in _whole(raw["rules"]))
    return rules, tuple(RunnerRules(**row) for row in _whole(raw["runners"]))


def _whole(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows that state only what has changed, each with what held before it."""
    known: dict[str, Any] = {}
    for row in rows:
        known |= {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        yield dict(known)


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
    return [rules for rules in all_rules()[0] if numbers(rules.since) <= mine][-1]


@cache
def runner_rules(version: str) -> RunnerRules | None:
    """Whom the second model runner serves in a release; None before it was anybody's default."""
    mine = numbers(version)
    found = [rules for rules in all_rules()[1] if numbers(rules.since) <= mine]
    return found[-1] if found else None
