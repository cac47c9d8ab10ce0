"""The peak of vLLM's profile run: what a forward pass over the largest batch, and the sampler after it, need.

Derived from the tensors that are alive at once; held against starts by `benchmarks/memory.py`.
"""

from dataclasses import dataclass

from stoker.model.parts import Layer
from stoker.model.shape import ModelShape
from stoker.planner.layout import Layout
from stoker.planner.settings import GIB, Settings
from stoker.planner.weights import padded_vocabulary
from stoker.units import Bytes

MIB = 1024**2
# cuBLAS's workspace: 32 MiB on Hopper and after, 4,096 KiB twice and 16 KiB eight times before.
WORKSPACE, SMALL_WORKSPACE = 32 * MIB, 8 * MIB + 128 * 1024
# Rows of the buffer that vLLM's Triton top-k keeps: one a streaming multiprocessor, 132 on an H100 and H200.
BUFFER_ROWS = 132
MULTIPROCESSORS = {
    "t4": 40, "l4": 58, "v100-16gb": 80, "v100-32gb": 80, "a10g": 80, "a100-40gb": 108, "a100-80gb": 108,
    "l40s": 142, "rtx-3090": 82, "rtx-4090": 128, "rtx-5090": 170, "rtx-pro-6000": 188, "b200": 148,
    "mi300x": 304,
}  # fmt: skip
# Tensors as wide as the residual stream beside an MLP's own: its input, the residual, and the output.
RESIDUALS = 3
# What compiling takes once beside a run, where nothing is cached: 0.23 GiB seen for Llama, none for Gemma.
COMPILING = int(0.115 * GIB)
# Rows that MLA makes room for in its profile run, and no more. Source:
# determine_chunked_prefill_workspace_size.
PREFILL_ROWS = 64 * 1024


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest of the phases of the profile run; unsure is how far it may be off, in bytes."""

    size: Bytes
    phase: str
    formula: str
    unsure: Bytes = Bytes(0)


def peak(shape: ModelShape, layout: Layout, stage: int, settings: Settings) -> Peak:
    """The peak on one rank of a pipeline stage."""
    phases = [_forward(shape, layout, settings)]
    if any(cache.kind == "mla" and not cache.element for cache in shape.caches):
        phases.append(_latent(shape, layout, settings))
    if stage == layout.pipeline - 1:
        phases.append(_sampler(shape, layout, settings))
    if stage == 0 and shape.vision and settings.images:
        phases.append(_vision(shape, layout, settings))
    return max(phases, key=lambda phase: phase.size)


def _workspace(settings: Settings) -> int:
    """What is left of the peak on every log: cuBLAS's workspace."""
    before = settings.gpu is not None and (settings.gpu.capability or 90) < 90
    return SMALL_WORKSPACE if before else WORKSPACE


def _forward(shape: ModelShape, layout: Layout, settings: Settings) -> Peak:
    """A decoder layer over the whole batch: its inputs and outputs, and the widest thing between them."""
    tokens, size = settings.max_num_batched_tokens, settings.dtype_bytes
    between = max(_between(shape, layer, layout.tensor, settings) for layer in shape.kinds)
    wide = residuals(shape, settings) * shape.hidden
    compiling = (
        0 if settings.eager or not settings.rules.large_batches else COMPILING
    )  # the old engine never did
    total = tokens * (wide + between) * size + _images(shape, settings) + _workspace(settings) + compiling
    formula = f"{tokens:,} tokens x ({wide:,} + {between:,.0f} between) x {size} B"
    return Peak(Bytes(int(total)), "forward", formula, Bytes(compiling))


def residuals(shape: ModelShape, settings: Settings) -> int:
    """Tensors as wide as the stream; without compilation norms of queries and of outputs hold one more each.

    Source: starts of Llama, Phi-3, Qwen3 and Gemma 3 on one H200, each within 1 MiB.
    """
    if not settings.eager:
        return RESIDUALS
    names = {part.name: part.parameters for layer in shape.kinds[:1] for part in layer.parts}
    normed = any(name.endswith("q_norm") and count > 0 for name, count in names.items())
    more = names.get("norms", 0) > 2 * shape.hidden or any("post_feedforward" in name for name in names)
    return RESIDUALS + normed * (shape.model_type != "gpt_oss") + more


def _between(shape: ModelShape, layer: Layer, tensor: int, settings: Settings) -> float:
    """Elements a token between a layer's input and output: gate, up and their product; queries, keys,
    values and what attention makes of them; or its experts' turn."""
    query = shape.heads * shape.head_dim
    attention = (2 * query + 2 * max(shape.kv_heads, tensor) * shape.head_dim) / tensor
    dense = 3 * layer.width / tensor
    if layer.experts is None:
        return max(dense, attention)
    return max(dense, attention, _experts(shape, layer, tensor, settings) + shape.hidden)


def _experts(shape: ModelShape, layer: Layer, tensor: int, settings: Settings) -> float:
    """Elements a token that experts work in: what goes in, and gate and up; each as wide as the stream at
    least.

    Source: vLLM `fused_moe/experts/triton_moe.py`, workspace_shapes.
    """
    if layer.experts is None:
        return 0
    width = layer.experts.width / tensor
    product = max(width, shape.hidden) if settings.rules.kept_workspace else width
    return layer.experts.per_token * (product + max(2 * width, shape.hidden))


def kept_workspace(shape: ModelShape, layout: Layout, settings: Settings) -> int:
    """Bytes that experts leave allocated when they are through: of kernels that vLLM calls in parts.

    MXFP4's on Hopper are one call, and keep nothing.
    """
    whole = settings.quantization is not None and settings.quantization.method == "mxfp4"
    if not settings.rules.kept_workspace or whole:
        return 0
    most = max(_experts(shape, layer, layout.tensor, settings) for layer in shape.kinds)
    return int(settings.max_num_batched_tokens * most * settings.dtype_bytes)


def _latent(shape: ModelShape, layout: Layout, settings: Settings) -> Peak:
    """Attention over a latent, in a profile run: room for keys and values of a long context, beside what
    experts keep, queries, outputs and the stream.

    DeepSeek-V3: 65,536 rows x 128 heads x 256 x 2 B = 4.0 GiB on one rank.
    """
    rows = min(max(8 * settings.max_model_len, 4 * settings.max_num_seqs * settings.block_size), PREFILL_ROWS)
    rows = max(rows, settings.max_num_seqs * settings.block_size)
    up = shape.latent
    heads = shape.heads / layout.tensor
    room = rows * heads * (up.nope + up.value) * settings.dtype_bytes
    stream = heads * (up.nope + up.rope + up.value) + 2 * shape.hidden + up.query + up.kept + up.rope
    kept = kept_workspace(shape, layout, settings)
    total = room + kept + settings.max_num_batched_tokens * stream * settings.dtype_bytes
    each = (up.nope + up.value) * settings.dtype_bytes
    formula = f"{rows:,} rows x {heads:g} heads x {each} B + {kept / GIB:.2f} GiB of the experts"
    return Peak(Bytes(int(total + _workspace(settings))), "latent attention", formula)


def _sampler(shape: ModelShape, layout: Layout, settings: Settings) -> Peak:
    """The sampler over one row a sequence; each rank gathers the whole vocabulary."""
    rows = min(settings.max_num_seqs, settings.max_num_batched_tokens)
    vocabulary, rules, size = padded_vocabulary(shape), settings.rules, settings.dtype_bytes
    each = _bare(shape, layout, size) if settings.runner == 2 else rules.sampler - 2 + size
    kept_rows = MULTIPROCESSORS.get(settings.gpu.key if settings.gpu else "", BUFFER_ROWS)
    buffer = kept_rows * vocabulary * 4 * rules.sampler_buffer * (settings.runner == 1)
    stream = (settings.max_num_batched_tokens + 2 * rows) * shape.hidden * size
    total = each * rows * vocabulary + buffer + stream + _images(shape, settings)
    total += kept_workspace(shape, layout, settings) + _workspace(settings)
    formula = f"{rows:,} rows x vocabulary {vocabulary:,} x {each:g} B + hidden states"
    doubt = (each - FLASHINFER) * rows * vocabulary if each > FLASHINFER else 0
    return Peak(Bytes(int(total)), "sampler", formula, Bytes(doubt))


# Bytes an entry of the sampler where FlashInfer is there, which releases before 0.12 take, and nobody can
# tell.
FLASHINFER = 14


def _bare(shape: ModelShape, layout: Layout, size: int) -> float:
    """Bytes an entry of logits that nothing is drawn from: as they are, while they are capped once more,
    and while ranks' slices are put together three times in part. Source: vLLM `layers/logits_processor.py`,
    all_gather."""
    gathered = size * (2 + 1 / layout.tensor) if layout.tensor > 1 else 0
    return max(size * (2 if shape.capped else 1), gathered)


def _count_images(shape: ModelShape, settings: Settings) -> int:
    assert shape.vision is not None
    return max(1, settings.max_num_batched_tokens // max(1, shape.vision.tokens))


def _images(shape: ModelShape, settings: Settings) -> int:
    """What stays of the dummy images through the run: their pixels, and the tokens that the encoder made."""
    if shape.vision is None or not settings.images:
        return 0
    count = _count_images(shape, settings)
    pixels = count * 3 * shape.vision.pixels**2
    return (pixels + count * shape.vision.tokens * shape.hidden) * settings.dtype_bytes


def _vision(shape: ModelShape, layout: Layout, settings: Settings) -> Peak:
    """The image encoder over all dummy images at once."""
    assert shape.vision is not None
    count = _count_images(shape, settings)
    wide = shape.vision.width / layout.tensor + 6 * shape.vision.hidden
    total = count * shape.vision.patches * wide * settings.dtype_bytes + _images(shape, settings)
    total += _workspace(settings)
    return Peak(Bytes(int(total)), "images", f"{count} images x {shape.vision.patches:,} patches")
