"""The memory of one rank, item by item, as vLLM divides it up; each item with its formula, source and band.

Source: vLLM `v1/worker/gpu_worker.py`, determine_available_memory:
KV cache = ceil(total x utilization) - weights - other - peak activations [- CUDA graphs since 0.21].
"""

from dataclasses import dataclass
from math import ceil

from stoker.model.shape import ModelShape
from stoker.planner.activations import peak
from stoker.planner.layout import Layout
from stoker.planner.settings import GIB, Settings
from stoker.planner.weights import lora_buffers, rank_weights
from stoker.units import Bytes

TRIAL = Bytes(int(0.75 * GIB))  # what vLLM's trial capture of CUDA graphs takes beyond what the graphs keep
CONTEXT = Bytes(int(0.5 * GIB))  # held by the driver and CUDA's context before vLLM takes its first byte


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """One use of a rank's memory. `band` is how far the real figure may be from `size`, either way, in
    bytes."""

    name: str
    size: Bytes
    band: Bytes
    formula: str
    source: str


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
        _graphs(shape, held, settings),
        _other(layout, settings),
        *_lora(shape, layout, held, settings),
    )
    taken = sum(i.size for i in items if i.name != "cuda_graphs" or settings.rules.graphs_counted)
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
    unsure = 0.10 if shape.known else 0.30
    unsure += 0.15 if shape.vision and not shape.vision.fixed else 0.0
    unsure += 0.20 if any(layer.experts for layer in shape.decoder) else 0.0
    band = Bytes(int(found.size * unsure + 0.1 * GIB * settings.rules.graphs_counted))
    source = f"vLLM {settings.rules.since}+ profile run: {found.phase}"
    return MemoryItem("activations", found.size, band, found.formula, source)


def _graphs(shape: ModelShape, held: range, settings: Settings) -> MemoryItem:
    """CUDA graphs: sizes 1, 2, 4, then by 8 to 256, by 16 to 512; captured in pieces, and whole for decode
    batches.

    The bytes of one captured layer are measured: 0.18 to 0.20 MiB on vLLM 0.19, 0.08 MiB since the model
    runner V2. Since 0.21 vLLM captures some before it sizes the cache, and takes what that took: more than
    the graphs keep.
    """
    if settings.eager or settings.cpu:
        return MemoryItem("cuda_graphs", Bytes(0), Bytes(0), "none: enforce-eager", "vLLM")
    most = min(2 * settings.max_num_seqs, 512)
    sizes = _captures(most)
    whole = _captures(min(most, settings.max_num_seqs))
    each = 0.09 if settings.rules.sampler == 2 else 0.19
    size = int((sizes + whole) * len(held) * each * 1024**2)
    formula = f"({sizes} + {whole}) graphs x {len(held)} layers x {each} MiB"
    if not settings.rules.graphs_counted:
        source = "logs of vLLM 0.19 on H100; not taken from the KV cache before 0.21"
        return MemoryItem("cuda_graphs", Bytes(size), Bytes(0), formula, source)
    formula += f" + {TRIAL / GIB:.2f} GiB for the trial capture"
    source = (
        "vLLM v1/worker/gpu/cudagraph_utils.py; logs of 0.31 on A100 (0.9 GiB more than kept) and of a "
        "B200 (0.86)"
    )
    return MemoryItem("cuda_graphs", Bytes(size + TRIAL), Bytes(size // 2 + TRIAL // 2), formula, source)


def _captures(most: int) -> int:
    return sum(1 for n in (1, 2, 4) if n <= most) + min(most, 256) // 8 + max(0, most - 256) // 16


def _lora(shape: ModelShape, layout: Layout, held: range, settings: Settings) -> tuple[MemoryItem, ...]:
    if not settings.max_loras:
        return ()
    size = lora_buffers(shape, layout, held, settings)
    formula = (
        f"{settings.max_loras} adapters x rank {settings.max_lora_rank} x the linear layers' inputs "
        f"and outputs"
    )
    return (MemoryItem("lora", size, Bytes(size // 5), formula, "vLLM lora/layers"),)


def _other(layout: Layout, settings: Settings) -> MemoryItem:
    """Beside PyTorch's: NCCL's buffers, custom all-reduce, attention workspaces."""
    ranks = layout.tensor if layout.tensor > 1 else 1
    gib = settings.rules.non_torch if ranks == 1 else settings.rules.non_torch_parallel + 0.015 * ranks
    band = 0.1 if ranks == 1 else 0.6
    formula = f"{gib:.2f} GiB, measured with {'one rank' if ranks == 1 else 'tensor parallel ranks'}"
    return MemoryItem(
        "other", Bytes(int(gib * GIB)), Bytes(int(band * GIB)), formula, "logs of vLLM 0.11 and 0.19 on H100"
    )
