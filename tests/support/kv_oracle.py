"""vLLM's own word on a KV cache: its specs, groups, blocks and capacity, for layers that are only described.

No weights and no GPU: vLLM's `kv_cache_utils` takes specs and bytes. What a config would be to it is a plain
object with the fields that it reads. Sizes of pages come out of vLLM's spec classes, not of ours.
"""

from __future__ import annotations

from math import ceil
from types import SimpleNamespace
from typing import Any

import torch
from vllm.v1.core import kv_cache_utils
from vllm.v1.kv_cache_interface import (
    ChunkedLocalAttentionSpec,
    FullAttentionSpec,
    KVCacheSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowSpec,
)
from vllm.v1.kv_cache_layout import KVCacheLayout

from stoker.model.parts import Cache, Layer
from stoker.planner.settings import Settings

DTYPES = {1: torch.uint8, 2: torch.bfloat16, 4: torch.float32}


def answer(
    decoder: list[Layer], settings: Settings, tensor: int, memory: int
) -> tuple[int, int, float, list[int]]:
    """Blocks, tokens, concurrency, and the sizes of the groups, as vLLM has them."""
    config = _config(settings)
    specs = _specs(decoder, settings, tensor)
    whole = kv_cache_utils.get_kv_cache_configs(config, [specs], [memory])
    tokens, concurrency = kv_cache_utils.get_kv_cache_capacity(config, whole[0])
    sizes = sorted(len(group.layer_names) for group in whole[0].kv_cache_groups)
    return whole[0].num_blocks, tokens, concurrency, sizes


def _specs(decoder: list[Layer], settings: Settings, tensor: int) -> dict[str, KVCacheSpec]:
    held = [(f"layers.{n}.{m}", one) for n, layer in enumerate(decoder) for m, one in enumerate(layer.caches)]
    block, padded = _aligned([cache for _, cache in held], settings, tensor)
    return {name: _spec(cache, settings, tensor, block, padded) for name, cache in held}


def _aligned(caches: list[Cache], settings: Settings, tensor: int) -> tuple[int, int | None]:
    """The block size and the padded page of states, as `Platform._align_hybrid_block_size` says them."""
    one = [
        _spec(cache, settings, tensor, 1, None).page_size_bytes for cache in caches if cache.kind != "state"
    ]
    states = [_spec(c, settings, tensor, 1, None).page_size_bytes for c in caches if c.kind == "state"]
    if not one or not states:
        return settings.block_size, None
    step = max(settings.block_size, 128 if any(cache.kind == "mla" for cache in caches) else 0)
    block = step * ceil(max(states) / (step * max(one)))
    return block, block * max(one)


def _spec(cache: Cache, settings: Settings, tensor: int, block: int, padded: int | None) -> KVCacheSpec:
    dtype = DTYPES[settings.kv_bytes]
    if cache.kind == "state":
        return _state(cache, settings, tensor, block, padded)
    if cache.kind == "mla":
        element = DTYPES[cache.element] if cache.element else dtype
        return MLAAttentionSpec(block_size=block, num_kv_heads=1, head_size=cache.head_dim, dtype=element)
    common: dict[str, Any] = {
        "block_size": block,
        "num_kv_heads": max(1, cache.kv_heads // tensor),
        "head_size": cache.head_dim,
        "head_size_v": cache.value_dim,
        "dtype": dtype,
    }
    if cache.kind == "sliding":
        return SlidingWindowSpec(sliding_window=cache.window, **common)
    if cache.kind == "chunked":
        return ChunkedLocalAttentionSpec(attention_chunk_size=cache.window, **common)
    return FullAttentionSpec(**common)


def _state(cache: Cache, settings: Settings, tensor: int, block: int, padded: int | None) -> MambaSpec:
    conv, carried = cache.states
    return MambaSpec(
        block_size=block,
        shapes=((conv.on_rank(tensor),), (carried.on_rank(tensor),)),
        dtypes=(DTYPES[settings.dtype_bytes], DTYPES[carried.element or settings.dtype_bytes]),
        page_size_padded=padded,
        mamba_cache_mode=_mode(settings),
        num_prefill_checkpoint_blocks=int(cache.marks),
    )


def _mode(settings: Settings) -> str:
    return "none" if settings.policy.prefixes == "none" else "align"


def _config(settings: Settings) -> Any:
    """What vLLM's functions read of a VllmConfig."""
    length = settings.max_model_len
    return SimpleNamespace(
        scheduler_config=SimpleNamespace(
            disable_hybrid_kv_cache_manager=not settings.policy.windows,
            max_num_batched_tokens=settings.max_num_batched_tokens,
        ),
        cache_config=SimpleNamespace(
            get_resolved_kv_cache_layout=lambda: KVCacheLayout.LBNHC,
            num_gpu_blocks_override=None,
            mamba_cache_mode=_mode(settings),
            prefix_cache_retention_interval=None,
        ),
        model_config=SimpleNamespace(max_model_len=length, original_max_model_len=length),
        parallel_config=SimpleNamespace(
            tensor_parallel_size=1,
            pipeline_parallel_size=1,
            decode_context_parallel_size=1,
            prefill_context_parallel_size=1,
        ),
        attention_config=SimpleNamespace(hisparse_config=None),
        speculative_config=None,
        kv_transfer_config=None,
        max_in_flight_tokens=settings.in_flight,
        num_prefill_lookahead_tokens=0,
    )
