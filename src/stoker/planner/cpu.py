"""Fit on a CPU: host memory divided between replicas and ranks, and a KV cache of the size that Stoker
sets."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stoker.errors import DoesNotFit
from stoker.model.shape import ModelShape
from stoker.planner.fit import Fit
from stoker.planner.items import MemoryItem
from stoker.planner.kv_cache import capacity, groups, longest, pages
from stoker.planner.layout import Layout, stages
from stoker.planner.memory import RankMemory
from stoker.planner.plan import Hardware
from stoker.planner.settings import GIB, Settings, resolve
from stoker.planner.weights import lora_buffers, rank_weights
from stoker.spec.nouns import ServeSpec
from stoker.units import Bytes, Tokens

# Resident memory of vLLM 0.32's three CPU processes beside weights and KV cache: measured 1.9 to 2.4 GiB; a
# rank
# more is a process more.
ENGINE_OVERHEAD = Bytes(int(2.4 * GIB))
RANK_OVERHEAD = Bytes(int(0.8 * GIB))
# With this flag vLLM's kernels for a CPU carry states in float32. Source: vLLM `platforms/cpu.py`.
FLOAT_STATES = "avx512_bf16"
KV_MOST = Bytes(4 * GIB)
KV_LEAST = Bytes(GIB)


def cpu_fit(
    spec: ServeSpec,
    shape: ModelShape,
    options: Mapping[str, Any],
    offer: Hardware,
    count: int,
    layout: Layout,
) -> Fit:
    """What one of `count` replicas holds that share a machine. Raises: DoesNotFit, with figures.

    Source of the layout of blocks: vLLM `v1/core/kv_cache_utils.py`, as on GPUs; of the size: Stoker's own
    option.
    """
    settings = resolve(
        options, shape, spec.engine.version, ranks=layout.gpus, pipeline=layout.pipeline, cpu=True
    )
    settings = replace(settings, float_states=FLOAT_STATES in offer.features)
    memory, parts = offer.memory, stages(shape.layers, layout.pipeline)
    total = Bytes(memory // (count * (layout.gpus // layout.nodes)))
    weights, other = _beside_cache(shape, layout, parts, settings)
    kv = _kv_cache(spec, Bytes(total - weights - other), layout)
    if weights + other + kv > total:
        raise _does_not_fit(spec, memory, count, layout, weights, kv, other)
    settings = replace(settings, kv_cache_memory=kv)
    laid = groups(pages(shape.decoder, settings, layout.tensor), settings.rules.group_slack)
    caches = [(layers, kv) for layers in parts]
    held = capacity(laid, caches, settings)
    most = longest(laid, held.blocks, settings, settings.max_model_len)
    if not _asked_length(options):
        settings = replace(settings, max_model_len=max(1, most))
        held = capacity(laid, caches, settings)
    items = _items(shape, settings, weights, other)
    ranks = tuple(RankMemory(n, layers, total, total, items, kv, Bytes(0)) for n, layers in enumerate(parts))
    return Fit(layout, settings, ranks, laid, held, most)


def _beside_cache(
    shape: ModelShape, layout: Layout, parts: Sequence[range], settings: Settings
) -> tuple[Bytes, Bytes]:
    """What the fullest rank takes beside its KV cache: its weights, and the engine's processes with their
    adapters."""
    weights = max(rank_weights(shape, layout, stage, held, settings) for stage, held in enumerate(parts))
    lora = max(lora_buffers(shape, layout, held, settings) for held in parts)
    here = layout.gpus // layout.nodes
    return weights, Bytes((ENGINE_OVERHEAD + RANK_OVERHEAD * (here - 1)) // here + lora)


def _items(
    shape: ModelShape, settings: Settings, weights: Bytes, other: Bytes
) -> tuple[MemoryItem, MemoryItem]:
    """Both as a plan tells of them, each with its band and its source."""
    return (
        MemoryItem(
            "weights",
            weights,
            Bytes(int(weights * 0.02)),
            f"{shape.parameters / 1e9:.2f} B parameters in {settings.dtype}",
            "config.json, safetensors headers",
        ),
        MemoryItem(
            "other",
            other,
            Bytes(int(0.3 * GIB)),
            "processes of the engine, without weights and KV cache",
            "measured with vLLM 0.32",
        ),
    )


def _asked_length(options: Mapping[str, Any]) -> bool:
    return str(options.get("max-model-len") or "auto").lower() not in ("auto", "-1")


def _kv_cache(spec: ServeSpec, room: Bytes, layout: Layout) -> Bytes:
    """One rank's KV cache: as asked, else a quarter of what is free, between 1 and 4 GiB a replica."""
    given = spec.engine.options.get("kv-cache-memory-bytes")
    if given is not None:
        return Bytes(int(Tokens.parse(given)))
    if spec.memory is not None:
        return Bytes(spec.memory // layout.gpus)
    ranks = layout.gpus
    return Bytes(max(KV_LEAST // ranks, min(KV_MOST // ranks, room // 4)))


def _does_not_fit(
    spec: ServeSpec, memory: Bytes, count: int, layout: Layout, weights: Bytes, kv: Bytes, other: Bytes
) -> DoesNotFit:
    ranks = layout.gpus
    need = Bytes((weights + kv + other) * count * ranks)
    asked_more = kv * ranks > KV_LEAST
    return DoesNotFit(
        f"{spec.model.served_name} does not fit: {count} replica{'s' * (count > 1)} need {need}",
        why=f"each: weights {Bytes(weights * ranks)}, KV cache {Bytes(kv * ranks)}, engine "
        f"{Bytes(other * ranks)}; this machine has {memory}",
        fix="fewer replicas, a smaller model" + (", or less `memory`" if asked_more else ""),
        at="replicas",
        rule="fit-memory",
    )
