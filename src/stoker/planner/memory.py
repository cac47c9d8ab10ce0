"""The memory of one rank, item by item, as vLLM divides it up; each item with its formula, source and band.

Source: vLLM `v1/worker/gpu_worker.py`, determine_available_memory:
KV cache = ceil(total x utilization) - weights - other - peak activations [- CUDA graphs since 0.21].
"""

from dataclasses import dataclass
from math import ceil

from stoker.model.shape import ModelShape
from stoker.planner.activations import peak
from stoker.planner.beside import graphs, other
from stoker.planner.items import MemoryItem
from stoker.planner.layout import Layout
from stoker.planner.settings import GIB, Settings
from stoker.planner.weights import lora_buffers, rank_weights
from stoker.units import Bytes

CONTEXT = Bytes(int(0.5 * GIB))  # held by the driver and CUDA's context before vLLM takes its first byte


@dataclass(frozen=True, slots=True)
class RankMemory:
    """One rank's memory. usable is what vLLM may take of `total`; kv_cache is what is left of it, or below
    zero.

    band: how far the KV cache may be off, either way, in bytes.
    """

    stage: int
    layers: range
    total: Bytes
    usable: Bytes
    items: tuple[MemoryItem, ...]
    kv_cache: Bytes
    band: Bytes

    def size(self, name: str) -> Bytes:
        """The size of an item; 0 where there is none of that name."""
        return next((item.size for item in self.items if item.name == name), Bytes(0))

    @property
    def counted(self) -> Bytes:
        """What is taken before the KV cache."""
        return Bytes(self.usable - self.kv_cache)


def rank_memory(
    shape: ModelShape, total: Bytes, layout: Layout, stage: int, held: range, settings: Settings
) -> RankMemory:
    """The memory of a rank of a pipeline stage that holds the layers `held`, on a GPU of `total` bytes."""
    usable = Bytes(ceil(total * settings.utilization))
    items = (
        _weights(shape, layout, stage, held, settings),
        _activations(shape, layout, stage, settings),
        graphs(len(held), settings),
        other(layout, settings),
        *_lora(shape, layout, held, settings),
    )
    taken = sum(i.size for i in items if i.name != "cuda_graphs" or settings.graphs_counted)
    kv = Bytes(usable - taken) if settings.kv_cache_memory is None else settings.kv_cache_memory
    band = Bytes(round(sum(item.band**2 for item in items) ** 0.5))
    return RankMemory(stage, held, total, usable, items, kv, band)


def _weights(shape: ModelShape, layout: Layout, stage: int, held: range, settings: Settings) -> MemoryItem:
    size = rank_weights(shape, layout, stage, held, settings)
    share = shape.band
    if settings.quantization is not None:
        share += 0.02 if settings.quantization.known else 0.25
    how = settings.quantization.method if settings.quantization else settings.dtype
    formula = f"{shape.parameters / 1e9:.2f} B parameters in {how}, {layout}, and rotary tables"
    return MemoryItem(
        "weights",
        size,
        Bytes(int(size * share)),
        formula,
        "config.json, safetensors headers; vLLM model_executor/models",
    )


def _activations(shape: ModelShape, layout: Layout, stage: int, settings: Settings) -> MemoryItem:
    found = peak(shape, layout, stage, settings)
    share = 0.05 if settings.runner == 2 and not settings.images else 0.10
    share = share if shape.known else 0.30
    share += 0.15 if settings.images and shape.vision and not shape.vision.fixed else 0.0
    share += 0.15 if any(layer.experts for layer in shape.decoder) else 0.0
    band = Bytes(int(found.size * share + found.unsure))
    source = f"vLLM {settings.rules.since}+ profile run: {found.phase}"
    return MemoryItem("activations", found.size, band, found.formula, source)


def _lora(shape: ModelShape, layout: Layout, held: range, settings: Settings) -> tuple[MemoryItem, ...]:
    if not settings.max_loras:
        return ()
    size = lora_buffers(shape, layout, held, settings)
    formula = (
        f"{settings.max_loras} adapters x rank {settings.max_lora_rank} x the linear layers' inputs "
        f"and outputs"
    )
    return (MemoryItem("lora", size, Bytes(size // 5), formula, "vLLM lora/layers"),)
