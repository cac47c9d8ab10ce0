"""The peak of vLLM's profile run: what a forward pass over the largest batch, and the sampler after it, need.

Derived from the tensors that are alive at once; checked against real logs by `benchmarks/fit.py`.
"""

from dataclasses import dataclass

from stoker.model.parts import Layer
from stoker.model.shape import ModelShape
from stoker.planner.layout import Layout
from stoker.planner.settings import GIB, Settings
from stoker.planner.weights import padded_vocabulary
from stoker.units import Bytes

# The cuBLAS workspace (32 MiB on Hopper) and small buffers: what is left of the peak on every log.
WORKSPACE = int(0.036 * GIB)
# Rows of the buffer that vLLM's Triton top-k keeps: one a streaming multiprocessor, 132 on an H100.
BUFFER_ROWS = 132
# Tensors as wide as the residual stream that are alive in a layer: residuals and normed inputs, old and new.
RESIDUALS = 6


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest of the phases of the profile run."""

    size: Bytes
    phase: str
    formula: str


def peak(shape: ModelShape, layout: Layout, stage: int, settings: Settings) -> Peak:
    """The peak on one rank of a pipeline stage."""
    phases = [_forward(shape, layout, settings)]
    if stage == layout.pipeline - 1:
        phases.append(_sampler(shape, settings))
    if stage == 0 and shape.vision:
        phases.append(_vision(shape, layout, settings))
    return max(phases, key=lambda phase: phase.size)


def _forward(shape: ModelShape, layout: Layout, settings: Settings) -> Peak:
    """A decoder layer over the whole batch: its inputs and outputs, and the widest thing between them."""
    tokens, size = settings.max_num_batched_tokens, settings.dtype_bytes
    heads = shape.heads * shape.head_dim + 2 * max(shape.kv_heads, layout.tensor) * shape.head_dim
    stream = RESIDUALS * shape.hidden + heads / layout.tensor
    widest = max(_between(shape, layer, layout.tensor) for layer in shape.kinds)
    images = _images(shape, settings)
    total = tokens * (stream + widest) * size + images + WORKSPACE
    formula = f"{tokens:,} tokens x (6 x hidden {shape.hidden:,} + attention + MLP) x {size} B"
    return Peak(Bytes(int(total)), "forward", formula)


def _between(shape: ModelShape, layer: Layer, tensor: int) -> float:
    """Elements a token between a layer's input and output: gate, up and their product; or its experts'
    turn."""
    dense = 3 * layer.width / tensor
    if layer.experts is None:
        return dense
    width = layer.experts.width / tensor
    experts = layer.experts.per_token * (max(2 * width, shape.hidden) + width) + shape.hidden
    return max(dense, experts)


def _sampler(shape: ModelShape, settings: Settings) -> Peak:
    """The sampler over one row a sequence; each rank gathers the whole vocabulary."""
    rows = min(settings.max_num_seqs, settings.max_num_batched_tokens)
    vocabulary, rules, size = padded_vocabulary(shape), settings.rules, settings.dtype_bytes
    entries = (rules.sampler - 2 + size) * rows * vocabulary
    buffer = BUFFER_ROWS * vocabulary * 4 * rules.sampler_buffer
    stream = (settings.max_num_batched_tokens + 2 * rows) * shape.hidden * size
    total = entries + buffer + stream + _images(shape, settings) + WORKSPACE
    formula = f"{rows:,} rows x vocabulary {vocabulary:,} x {rules.sampler} B + hidden states"
    return Peak(Bytes(int(total)), "sampler", formula)


def _count_images(shape: ModelShape, settings: Settings) -> int:
    assert shape.vision is not None
    return max(1, settings.max_num_batched_tokens // max(1, shape.vision.tokens))


def _images(shape: ModelShape, settings: Settings) -> int:
    """What stays of the dummy images through the run: their pixels, and the tokens that the encoder made."""
    if shape.vision is None:
        return 0
    count = _count_images(shape, settings)
    pixels = count * 3 * shape.vision.pixels**2
    return (pixels + count * shape.vision.tokens * shape.hidden) * settings.dtype_bytes


def _vision(shape: ModelShape, layout: Layout, settings: Settings) -> Peak:
    """The image encoder over all dummy images at once."""
    assert shape.vision is not None
    count = _count_images(shape, settings)
    wide = shape.vision.width / layout.tensor + RESIDUALS * shape.vision.hidden
    total = count * shape.vision.patches * wide * settings.dtype_bytes + _images(shape, settings) + WORKSPACE
    return Peak(Bytes(int(total)), "images", f"{count} images x {shape.vision.patches:,} patches")
