"""The KV cache as vLLM lays it out: pages, groups, blocks, and what one request needs of them.

Source: vLLM 0.32 `v1/core/kv_cache_utils.py` (get_kv_cache_groups, get_kv_cache_config_from_groups) and
`v1/kv_cache_interface.py` (page_size_bytes, max_memory_usage_bytes).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, lcm
from typing import TypeVar

from stoker.model.parts import Cache, Kind, Layer
from stoker.planner.settings import Settings
from stoker.units import Bytes

T = TypeVar("T")
SPARSE_FP8 = 656  # bytes of a latent in fp8_ds_mla: 512 in fp8, 4 scales, 64 rotary elements in 16 bits


@dataclass(frozen=True, slots=True)
class Page:
    """One layer's page: its bytes on one rank, and the tokens in it. A state's request holds `kept` pages;
    0 where it keeps one for each block of its tokens."""

    kind: Kind
    size: int
    block: int
    window: int = 0
    kept: int = 1

    def needed(self, length: int, in_flight: int) -> int:
        """Pages that one request of `length` tokens holds at most."""
        if self.kind == "state" and self.kept:
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


def pages(decoder: Sequence[Layer], settings: Settings, tensor: int) -> tuple[tuple[int, Page], ...]:
    """Every cache's page on one rank of a tensor-parallel group, with the index of its layer."""
    held = [(index, cache) for index, layer in enumerate(decoder) for cache in layer.caches]
    distinct = _distinct([cache for _, cache in held])
    block = _block_size(distinct, settings, tensor)
    sized = replace(settings, block_size=block)
    made = {id(cache): _page(cache, sized, tensor) for cache in distinct}
    widest = max((page.size for page in made.values()), default=0)
    made = {i: replace(p, size=widest) if p.kind == "state" else p for i, p in made.items()}
    return tuple((index, made[id(cache)]) for index, cache in held)


def _distinct(values: Sequence[T]) -> tuple[T, ...]:
    """Each value once, told apart by what it is in memory: layers that are alike are one value, and hashing
    is slow."""
    return tuple({id(value): value for value in values}.values())


def _page(cache: Cache, settings: Settings, tensor: int) -> Page:
    block = settings.block_size
    if cache.kind == "state":
        return Page("state", _state_size(cache, settings, tensor), block, kept=_kept(cache, settings))
    if cache.kind == "mla":
        element = cache.element or settings.kv_bytes
        each = SPARSE_FP8 if cache.sparse and settings.kv_bytes == 1 else cache.head_dim * element
        return Page("mla", block * each, block)
    heads = max(1, cache.kv_heads // tensor)
    size = block * heads * (cache.head_dim + cache.value_dim) * settings.kv_bytes
    size += block * heads * 2 * 4 * ("per_token_head" in settings.kv_dtype)  # a scale for K and one for V
    if cache.kind not in settings.policy.windows:
        return Page("full", size, block)
    return Page(cache.kind, size, block, cache.window)


def _state_size(cache: Cache, settings: Settings, tensor: int) -> int:
    return sum(state.on_rank(tensor) * settings.state_bytes(state) for state in cache.states)


def _kept(cache: Cache, settings: Settings) -> int:
    """States that one request keeps: the newest; where prefixes are found again, one to go back to, and one
    more where a prefill marks its own; in releases between, one for each block of tokens."""
    if settings.policy.prefixes == "none":
        return 1
    if settings.policy.prefixes == "all" and cache.chunk:
        return 0
    return 2 + (settings.policy.prefixes == "checkpoint" and cache.marks)


def _block_size(caches: Sequence[Cache], settings: Settings, tensor: int) -> int:
    """Hybrids of attention and state: tokens a block are raised until an attention page holds a state.

    Source: vLLM `platforms/interface.py`, _align_hybrid_block_size.
    """
    one = replace(settings, block_size=1)
    states = [_state_size(cache, one, tensor) for cache in caches if cache.kind == "state"]
    attention = [_page(cache, one, tensor) for cache in caches if cache.kind != "state"]
    if not any(states) or not any(page.size for page in attention):
        return settings.block_size
    step = max(settings.block_size, 128 if any(page.kind == "mla" for page in attention) else 0)
    if settings.policy.prefixes == "all":
        step = lcm(step, *(cache.chunk for cache in caches if cache.chunk))
    return step * ceil(max(states) / (step * max(page.size for page in attention)))


def groups(held: Sequence[tuple[int, Page]], slack: float = 1.5) -> tuple[Group, ...]:
    """Layers grouped as vLLM does: one group where all need the same tokens kept, else groups of equal
    size.

    slack: how much larger the largest kind may be than the smallest, and still be the size of all groups.
    """
    layers, found = tuple(index for index, _ in held), tuple(page for _, page in held)
    if not found or _uniform(found):
        return (Group(layers, found),) if found else ()
    buckets: dict[Page, list[int]] = {}
    for index, page in _unified(held):
        buckets.setdefault(page, []).append(index)
    least, most = min(map(len, buckets.values())), max(map(len, buckets.values()))
    size = most if most < least * slack else least
    out = []
    for page, indices in buckets.items():
        count = ceil(len(indices) / size)
        out += [Group(tuple(indices[n::count]), (page,) * len(indices[n::count])) for n in range(count)]
    return tuple(out)


def _uniform(found: Sequence[Page]) -> bool:
    """Whether all layers keep the same tokens, whatever the sizes of their pages."""
    found = _distinct(found)
    kinds = {("full" if page.kind == "mla" else page.kind, page.window, page.block) for page in found}
    return len(kinds) == 1


def _unified(held: Sequence[tuple[int, Page]]) -> tuple[tuple[int, Page], ...]:
    """All pages of one size: smaller ones hold more tokens, or are padded where that does not come out
    even."""
    widest = max(page.size for _, page in held)
    return tuple((i, page if page.size == widest else _widened(page, widest)) for i, page in held)


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
