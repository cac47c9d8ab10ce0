"""Shards of quantized weights: blocks and groups of a checkpoint that a tensor parallel size cuts through.

Source: vLLM `layers/quantization/utils/fp8_utils.py` (validate_fp8_block_shape,
validate_fp8_block_shape_moe), `layers/fused_moe/oracle/fp8.py` (refine_fp8_moe_block_shape, since 0.29) and
`marlin_utils.py` (verify_marlin_supports_shape): inputs of what is split by rows, and experts, come in
whole blocks.
"""

from dataclasses import dataclass
from math import gcd

from stoker.catalog.memory import numbers
from stoker.model.parts import Layer
from stoker.model.quantization import Quantization
from stoker.model.shape import ModelShape

REFINED = 32  # the smallest block that scales of experts are refined to


@dataclass(frozen=True, slots=True)
class Sharding:
    """What else decides whether a size splits a model: the release, and whether experts stay whole on a
    rank."""

    version: str = ""
    whole_experts: bool = False


def cut_through(shape: ModelShape, kinds: tuple[Layer, ...], tensor: int, sharding: Sharding) -> str | None:
    """Why vLLM refuses to load the checkpoint at this size; None where it does not."""
    found = shape.quantization
    if tensor == 1 or found is None or not found.block:
        return None
    for index, layer in enumerate(kinds):
        if layer.experts and not sharding.whole_experts and _takes(found, layer, "mlp.experts", index):
            width = layer.experts.width // tensor
            if width % found.block and not _refined(found, width, shape.hidden, sharding.version):
                return _why("experts of", layer.experts.width, tensor, found.block)
        name = "mlp.shared_experts" if layer.experts else "mlp"
        if layer.width and (layer.width // tensor) % found.block and _takes(found, layer, name, index):
            what = "a shared expert of" if layer.experts else "an MLP of"
            return _why(what, layer.width, tensor, found.block)
    heads = shape.heads * (shape.latent.value or shape.head_dim)
    if (heads // tensor) % found.block:
        return _why("attention heads of", heads, tensor, found.block)
    return None


def _takes(found: Quantization, layer: Layer, name: str, index: int) -> bool:
    """Whether the quantization takes such a part; one that no part is named for is taken."""
    parts = [part for part in layer.parts if part.name == name or part.name.startswith(f"{name}.")]
    return not parts or any(found.takes(part, index) for part in parts)


def _refined(found: Quantization, width: int, hidden: int, version: str) -> bool:
    """Whether vLLM spreads an expert's scales over smaller blocks: those of FP8 checkpoints."""
    if found.method != "fp8" or numbers(version) < (0, 29):
        return False
    return gcd(found.block, width, hidden) >= REFINED


def _why(what: str, width: int, tensor: int, block: int) -> str:
    part = f"{width / tensor:g}"
    return f"{tensor} cuts {what} {width:,} into {part}: no multiple of {block}, the quantization's block"
