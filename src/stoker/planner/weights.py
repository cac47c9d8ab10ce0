"""Weights of one rank, as vLLM loads them: split, padded, and in the dtype or quantization that was asked."""

from collections.abc import Iterable, Iterator
from math import ceil

from stoker.model.parts import Part
from stoker.model.shape import ModelShape
from stoker.planner.layout import Layout
from stoker.planner.settings import Settings
from stoker.units import Bytes

VOCABULARY_PADDING = 64  # vLLM `layers/vocab_parallel_embedding.py`, DEFAULT_VOCAB_PADDING_SIZE


# Above this a tensor has memory of its own, in steps of the second: PyTorch's allocator, told not to split
# more.
UNSPLIT, STEP = 20 * 1024**2, 2 * 1024**2


def rank_weights(shape: ModelShape, layout: Layout, stage: int, held: range, settings: Settings) -> Bytes:
    """Bytes of weights on one rank of a pipeline stage that holds the layers `held`."""
    total = sum(_layers(shape, layout, held, settings))
    ends = [p for p in _ends(shape, layout, stage) if settings.towers or p.name not in TOWERS]
    total += sum(_summed(ends, layout, settings, None, shape.hidden))
    tables = sum(_bytes(part, 1, settings, None, 0) for part in shape.every)
    return Bytes(int(total * _scale(shape) + tables))


def _layers(shape: ModelShape, layout: Layout, held: range, settings: Settings) -> Iterator[float]:
    """Each layer's bytes; those of layers that are alike, and quantized alike, are counted once."""
    alike: dict[int, float] = {}
    spares = settings.quantization is not None and bool(settings.quantization.ignore)
    for index in held:
        layer = shape.decoder[index]
        if spares or id(layer) not in alike:
            alike[id(layer)] = sum(_summed(layer.parts, layout, settings, index, shape.hidden))
        yield alike[id(layer)]


def _summed(
    parts: Iterable[Part], layout: Layout, settings: Settings, layer: int | None, width: int
) -> Iterator[float]:
    """The tensors' bytes, as they are allocated: what vLLM merges is one, an MLP is two."""
    merged: dict[str, float] = {}
    for part in parts:
        if part.name.endswith("absorbed") and settings.quantization is None:
            continue  # views of the up-projection, where nothing has to be dequantized
        size = _bytes(part, layout.tensor, settings, layer, width)
        for name, share in _tensors(part):
            merged[name] = merged.get(name, 0.0) + size * share
    for name, size in merged.items():
        yield size if name in TOWERS or not settings.rules.whole_allocations else _allocated(size)


# What makes tokens of images and sounds: parts of many tensors, none of which is large.
TOWERS = ("vision_tower", "audio_tower", "multi_modal_projector")


def _allocated(size: float) -> float:
    return size if size <= UNSPLIT else ceil(size / STEP) * STEP


def _tensors(part: Part) -> tuple[tuple[str, float], ...]:
    """The tensors that a part is in, and what share of it: vLLM merges gate and up, and queries, keys and
    values."""
    module, _, last = part.name.rpartition(".")
    if last in ("mlp", "shared_experts", "experts"):
        return ((f"{part.name}.up", 2 / 3), (f"{part.name}.down", 1 / 3))
    if last in ("gate_proj", "up_proj", "gate_up_proj"):
        return ((f"{module}.up", 1.0),)
    if last in ("q_proj", "k_proj", "v_proj", "qkv_proj") and part.split != "copy":
        return ((f"{module}.qkv", 1.0),)
    return ((part.name, 1.0),)


def lora_buffers(shape: ModelShape, layout: Layout, held: range, settings: Settings) -> Bytes:
    """What vLLM keeps ready for adapters on one rank: A and B of every linear layer, for each adapter of a
    batch.

    The side that a rank has a slice of is a slice here too; experts have none by default.
    Source: vLLM `lora/layers/`, create_lora_weights.
    """
    width, heads = shape.hidden, shape.heads * shape.head_dim / layout.tensor
    kv = max(1, shape.kv_heads // layout.tensor) * shape.head_dim
    each = (width + heads) + 2 * (width + kv) + (heads + width)
    total = sum(each + 3 * (width + shape.decoder[n].width / layout.tensor) for n in held)
    return Bytes(int(settings.max_loras * settings.max_lora_rank * total * settings.dtype_bytes))


def _ends(shape: ModelShape, layout: Layout, stage: int) -> tuple[Part, ...]:
    """Embeddings, image encoders and the output head; a tied head needs the embedding on the last stage
    too."""
    ends = shape.first if stage == 0 else ()
    if stage == layout.pipeline - 1:
        ends += shape.last
        if shape.tied and stage > 0:
            ends += tuple(part for part in shape.first if part.name == "embed_tokens")
    return ends


def _scale(shape: ModelShape) -> float:
    """What the safetensors headers count over what config.json gives; 1 where they are one."""
    return shape.parameters / shape.counted if shape.counted else 1.0


def _bytes(part: Part, tensor: int, settings: Settings, layer: int | None, width: int) -> float:
    count = _on_rank(part, tensor)
    quantization = settings.quantization
    if quantization is None or not quantization.takes(part, layer):
        return count * settings.dtype_bytes
    return count * quantization.bytes_each * _padding(part, tensor, settings, width)


def _on_rank(part: Part, tensor: int) -> float:
    if part.split == "copy" or tensor == 1:
        return part.parameters
    if part.split == "kv":
        return part.parameters / min(tensor, part.heads)
    return part.parameters / tensor


def _padding(part: Part, tensor: int, settings: Settings, width: int) -> float:
    """What kernels of 4-bit experts pad rows and columns to, over what they are."""
    assert settings.quantization is not None
    if not part.rows or settings.quantization.pad <= 1:
        return 1.0
    rows, columns = _tiles(settings)
    own = part.rows / tensor
    return ceil(own / rows) * rows / own * (ceil(width / columns) * columns / width if width else 1)


def _tiles(settings: Settings) -> tuple[int, int]:
    """The tile of MXFP4's experts: Triton's on Hopper, TensorRT's on Blackwell, Marlin's before.

    Source: vLLM `fused_moe/oracle/mxfp4.py`; logs of 0.11 (13.47 GiB for gpt-oss-20b) and 0.26 (13.03) on
    Hopper.
    """
    if settings.hopper:
        return (64, 1) if settings.rules.whole_allocations else (256, 1)
    assert settings.gpu is not None
    return (256, 256) if (settings.gpu.capability or 0) >= 100 else (128, 256)


def padded_vocabulary(shape: ModelShape) -> int:
    """The vocabulary as vLLM pads it."""
    return ceil(shape.vocabulary / VOCABULARY_PADDING) * VOCABULARY_PADDING
