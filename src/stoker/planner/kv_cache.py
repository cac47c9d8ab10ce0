"""The KV cache as vLLM lays it out: pages, groups, blocks, and what one request needs of them.

Source: vLLM 0.32 `v1/core/kv_cache_utils.py` (get_kv_cache_groups, get_kv_cache_config_from_groups) and
`v1/kv_cache_interface.py` (page_size_bytes, max_memory_usage_bytes).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TypeVar

from stoker.model.parts import Cache, Kind
from stoker.planner.settings import Settings
from stoker.units import Bytes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """One layer's page: its bytes on one rank, and the tokens in it. A state's request holds `kept` pages."""

    kind: Kind
    size: int
    block: int
    window: int = 0
    kept: int = 1

    def needed(self, length: int, in_flight: int) -> int:
        """Pages that one request of `length` tokens holds at most."""
        if self.kind == "state":
            return self.kept
        if self.kind == "sliding":
            return ceil(min(self.window - 1 + in_flight, length) / self.block) + 1
        if self.kind == "chunked":
            return ceil(min(self.window + in_flight, length) / self.block)
        return ceil(length / self.block)


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that share one block table: their indices, and their pages (alike, or of one kind)."""

    layers: tuple[int, ...]
    pages: tuple[Page, ...]

    def size(self, layers: range | None = None) -> int:
        """Bytes of one block: of all layers, or of those on one pipeline stage."""
        if layers is None or (layers.start <= min(self.layers) and max(self.layers) < layers.stop):
            return sum([page.size for page in self.pages])
        return sum(p.size for i, p in zip(self.layers, self.pages, strict=True) if i in layers)

    def needed(self, length: int, in_flight: int) -> int:
        """Blocks that one request holds at most."""
        return max(page.needed(length, in_flight) for page in self.kinds)

    @property
    def kinds(self) -> tuple[Page, ...]:
        """Its different pages, each once."""
        return _distinct(self.pages)


def pages(caches: Sequence[Cache | None], settings: Settings, tensor: int) -> dict[int, Page]:
    """Each layer's page on one rank of a tensor-parallel group, by the layer's index; none for those that
    share."""
    block = _block_size(caches, settings, tensor)
    sized = replace(settings, block_size=block)
    made = {id(cache): _page(cache, sized, tensor) for cache in _distinct(caches) if cache is not None}
    if any(page.kind == "state" for page in made.values()):
        widest = max(page.size for page in made.values())
        made = {i: replace(p, size=widest) if p.kind == "state" else p for i, p in made.items()}
    return {index: made[id(cache)] for index, cache in enumerate(caches) if cache is not None}


def _distinct(values: Sequence[T]) -> tuple[T, ...]:
    """Each value once, told apart by what it is in memory: layers that are alike are one value, and hashing
    is slow."""
    return tuple({id(value): value for value in values}.values())


def _page(cache: Cache, settings: Settings, tensor: int) -> Page:
    if cache.kind == "state":
        size = sum(s.elements // tensor * (s.element or settings.dtype_bytes) for s in cache.states)
        return Page("state", size, settings.block_size, kept=cache.kept if settings.keeps_states else 1)
    if cache.kind == "mla":
        return Page("mla", settings.block_size * cache.head_dim * settings.kv_bytes, settings.block_size)
    heads = max(1, cache.kv_heads // tensor)
    size = settings.block_size * heads * (cache.head_dim + cache.value_dim) * settings.kv_bytes
    return Page(cache.kind, size, settings.block_size, cache.window)


def _block_size(caches: Sequence[Cache | None], settings: Settings, tensor: int) -> int:
    """Hybrids of attention and state: tokens a block are raised until an attention page holds a state."""
    one = replace(settings, block_size=1)
    there = [cache for cache in _distinct(caches) if cache is not None]
    states = [_page(c, one, tensor).size for c in there if c.kind == "state"]
    attention = [_page(c, one, tensor).size for c in there if c.kind != "state"]
    if not any(states) or not any(attention):
        return settings.block_size
    step = settings.block_size
    return step * ceil(max(states) / (step * max(attention)))


def groups(by_layer: dict[int, Page]) -> tuple[Group, ...]:
    """Layers grouped as vLLM does: one group where all need the same tokens kept, else groups of equal
    size."""
    layers, found = tuple(by_layer), tuple(by_layer.values())
    if not found or _uniform(found):
        return (Group(layers, found),) if found else ()
    buckets: dict[Page, list[int]] = {}
    for index, page in _unified(by_layer).items():
        buckets.setdefault(page, []).append(index)
    least, most = min(map(len, buckets.values())), max(map(len, buckets.values()))
    size = most if most < least * 1.5 else least
    out = []
    for page, indices in buckets.items():
        count = ceil(len(indices) / size)
        out += [Group(tuple(indices[n::count]), (page,) * len(indices[n::count])) for n in range(count)]
    return tuple(out)


def _uniform(found: Sequence[Page]) -> bool:
    """Whether all layers keep the same tokens, whatever the sizes of their pages."""
    found = _distinct(found)
    kinds = {("full" if page.kind == "mla" else page.kind, page.window, page.block) for page in found}
    same_state = len({page.size for page in found}) == 1 or found[0].kind != "state"
    return len(kinds) == 1 and same_state


def _unified(by_layer: dict[int, Page]) -> dict[int, Page]:
    """All pages of one size: smaller ones hold more tokens, or are padded where that does not come out
    even."""
    widest = max(page.size for page in by_layer.values())
    return {i: page if page.size == widest else _widened(page, widest) for i, page in by_layer.items()}


def _widened(page: Page, widest: int) -> Page:
    if page.kind == "state" or widest % page.size:
        return replace(page, size=widest)
    return replace(page, size=widest, block=page.block * (widest // page.size))


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a KV cache holds. concurrency counts requests of the longest length; needed, the blocks of one
    such."""

    blocks: int
    needed: int
    tokens: int
    concurrency: float


def capacity(
    laid: tuple[Group, ...],
    stages: Sequence[tuple[range, Bytes]],
    settings: Settings,
    length: int | None = None,
) -> Capacity:
    """The capacity of all ranks together: that of the pipeline stage with the fewest blocks.

    stages: each stage's layers, and the bytes that one of its ranks has for the cache.
    """
    length = length or settings.max_model_len
    blocks = min(int(max(0, size) // max(1, _block_bytes(laid, layers))) for layers, size in stages)
    needed = sum(group.needed(length, settings.in_flight) for group in laid)
    concurrency = blocks / max(1, needed)
    if settings.rules.capacity == "concurrency":
        tokens = int(concurrency * length)
    else:
        tokens = blocks // max(1, len(laid)) * (min(group.pages[0].block for group in laid) if laid else 1)
    return Capacity(blocks, needed, tokens, concurrency)


def _block_bytes(laid: tuple[Group, ...], layers: range) -> int:
    """One block takes as much as the widest group of it does on that stage."""
    return max((group.size(layers) for group in laid), default=0)


def longest(laid: tuple[Group, ...], blocks: int, settings: Settings, most: int) -> int:
    """The longest request that so many blocks hold, one of them kept free as vLLM does; 0 where none fits."""
    each, in_flight = [group.kinds for group in laid], settings.in_flight

    def fits(length: int) -> bool:
        return sum(max(page.needed(length, in_flight) for page in alike) for alike in each) <= blocks - 1

    low, high = (most, most) if fits(most) else (0, most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
