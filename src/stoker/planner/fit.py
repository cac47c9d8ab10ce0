"""Fit: what a model needs of a GPU in one layout, and what its KV cache then holds."""

from dataclasses import dataclass, replace

from stoker.model.shape import ModelShape
from stoker.planner.kv_cache import Capacity, Group, capacity, groups, longest, pages
from stoker.planner.layout import Layout, stages
from stoker.planner.memory import CONTEXT, RankMemory, rank_memory
from stoker.planner.settings import Settings
from stoker.units import Bytes


@dataclass(frozen=True, slots=True)
class Fit:
    """One layout, weighed. `tightest` is the rank that decides; longest, the longest request that it serves.

    why is empty where it fits.
    """

    layout: Layout
    settings: Settings
    ranks: tuple[RankMemory, ...]
    groups: tuple[Group, ...]
    held: Capacity
    longest: int
    why: str = ""

    @property
    def fits(self) -> bool:
        """Whether vLLM starts and holds as many requests as were asked."""
        return not self.why

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
    if fit.longest < length:
        return f"KV cache {rank.kv_cache} a GPU holds {fit.longest:,} tokens of one request < {length:,}"
    if fit.held.concurrency < concurrency:
        return (
            f"KV cache {rank.kv_cache} a GPU holds {fit.held.concurrency:.1f} requests of {length:,} at "
            f"once < {concurrency:g}"
        )
    return ""
