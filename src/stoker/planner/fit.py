"""Fit: what a model needs of a GPU in one layout, and what its KV cache then holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from stoker.model.shape import ModelShape
from stoker.planner.kv_cache import Capacity, Group, capacity, groups, longest, pages
from stoker.planner.layout import Layout, stages
from stoker.planner.memory import CONTEXT, RankMemory, rank_memory
from stoker.planner.settings import Settings
from stoker.units import Bytes


@dataclass(frozen=True, slots=True)
class Fit:
    """One layout, weighed. `tightest` is the rank that decides; longest, the longest request that it serves.

    why is empty where it fits. chosen are options beside the user's own that it was weighed with.
    """

    layout: Layout
    settings: Settings
    ranks: tuple[RankMemory, ...]
    groups: tuple[Group, ...]
    held: Capacity
    longest: int
    why: str = ""
    chosen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fits(self) -> bool:
        """Whether vLLM starts and holds as many requests as were asked."""
        return not self.why

    @property
    def rows(self) -> int:
        """The most sequences a batch that vLLM starts with: no more than blocks, where each takes a state
        and graphs of whole batches are captured. Source: vLLM `config/compilation.py`,
        resolve_cudagraph_mode_and_sizes."""
        states = any(page.kind == "state" for group in self.groups for page in group.kinds)
        captured = self.settings.policy.whole_graphs and not self.settings.eager
        if not states or not captured or self.settings.cpu:
            return self.settings.max_num_seqs
        return min(self.settings.max_num_seqs, self.held.blocks)

    @property
    def tightest(self) -> RankMemory:
        """The rank with the least room for the KV cache, for the layers it holds."""
        if len(self.ranks) == 1:
            return self.ranks[0]
        return min(self.ranks, key=lambda rank: rank.kv_cache / max(1, _widest(self.groups, rank)))


def _widest(laid: tuple[Group, ...], rank: RankMemory) -> int:
    return max((group.size(rank.layers) for group in laid), default=1)


def weigh(
    shape: ModelShape, total: Bytes, layout: Layout, settings: Settings, concurrency: float = 1.0
) -> Fit:
    """Weighs a layout on GPUs of `total` bytes each, for `concurrency` requests of the longest length at
    once."""
    ranks = tuple(
        rank_memory(shape, total, layout, stage, held, settings)
        for stage, held in enumerate(stages(shape.layers, layout.pipeline))
    )
    laid = groups(pages(shape.decoder, settings, layout.tensor), settings.rules.group_slack)
    held = capacity(laid, [(rank.layers, Bytes(max(0, rank.kv_cache))) for rank in ranks], settings)
    most = longest(laid, held.blocks, settings, settings.max_model_len)
    fit = Fit(layout, settings, ranks, laid, held, most)
    return replace(fit, why=_why_not(fit, concurrency))


def _why_not(fit: Fit, concurrency: float) -> str:
    rank, length = fit.tightest, fit.settings.max_model_len
    weights, usable = rank.size("weights"), rank.usable
    if usable > rank.total - CONTEXT:
        return (
            f"utilization {fit.settings.utilization:g} leaves less than the {CONTEXT} that CUDA itself holds"
        )
    if weights >= usable:
        return f"weights {weights} a GPU > {usable} usable"
    if rank.kv_cache <= 0:
        return (
            f"weights {weights} + activations {rank.size('activations')} + other {rank.size('other')} a "
            f"GPU > {usable} usable"
        )
    if fit.rows < fit.settings.max_num_seqs:
        return (
            f"max-num-seqs {fit.settings.max_num_seqs:,} > {fit.rows:,} blocks of the KV cache, and each "
            f"sequence's state takes one"
        )
    if fit.longest < length:
        return f"KV cache {rank.kv_cache} a GPU holds {fit.longest:,} tokens of one request < {length:,}"
    if fit.held.concurrency < concurrency:
        return (
            f"KV cache {rank.kv_cache} a GPU holds {fit.held.concurrency:.1f} requests of {length:,} at "
            f"once < {concurrency:g}"
        )
    return ""
