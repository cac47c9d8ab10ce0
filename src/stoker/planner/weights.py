"""Weights of one rank, as vLLM loads them: split, padded, and in the dtype or quantization that was asked."""

from collections.abc import Iterator
from math import ceil

from stoker.model.parts import Part
from stoker.model.quantization import Quantization
from stoker.model.shape import ModelShape
from stoker.planner.layout import Layout
from stoker.planner.settings import Settings
from stoker.units import Bytes

VOCABULARY_PADDING = 64  # vLLM `layers/vocab_parallel_embedding.py`, DEFAULT_VOCAB_PADDING_SIZE


def rank_weights(shape: ModelShape, layout: Layout, stage: int, held: range, settings: Settings) -> Bytes:
    """Bytes of weights on one rank of a pipeline stage that holds the layers `held`."""
    total = sum(_layers(shape, layout, held, settings))
    for part in _ends(shape, layout, stage):
        total += _bytes(part, layout.tensor, settings, None)
    tables = sum(_bytes(part, 1, settings, None) for part in shape.every)
    return Bytes(int(total * _scale(shape) + tables))


def _layers(shape: ModelShape, layout: Layout, held: range, settings: Settings) -> Iterator[float]:
    """Each layer's bytes; those of layers that are alike, and quantized alike, are counted once."""
    alike: dict[int, float] = {}
    spares = settings.quantization is not None and bool(settings.quantization.ignore)
    for index in held:
        layer = shape.decoder[index]
        if spares or id(layer) not in alike:
            alike[id(layer)] = sum(_bytes(part, layout.tensor, settings, index) for part in layer.parts)
        yield alike[id(layer)]


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


def _bytes(part: Part, tensor: int, settings: Settings, layer: int | None) -> float:
    count = _on_rank(part, tensor)
    quantization = settings.quantization
    if quantization is None or not quantization.takes(part, layer):
        return count * settings.dtype_bytes
    return count * quantization.bytes_each * _padding(part, tensor, quantization)


def _on_rank(part: Part, tensor: int) -> float:
    if part.split == "copy" or tensor == 1:
        return part.parameters
    if part.split == "kv":
        return part.parameters / min(tensor, part.heads)
    return part.parameters / tensor


def _padding(part: Part, tensor: int, quantization: Quantization) -> float:
    """Kernels of 4-bit experts take rows in whole tiles."""
    if not part.rows or quantization.pad <= 1:
        return 1.0
    rows = part.rows / tensor
    return ceil(rows / quantization.pad) * quantization.pad / rows


def padded_vocabulary(shape: ModelShape) -> int:
    """The vocabulary as vLLM pads it."""
    return ceil(shape.vocabulary / VOCABULARY_PADDING) * VOCABULARY_PADDING
