"""The parts of a model out of its blueprint's tensors: which layer each is in, how it is split and
quantized."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from stoker.model.blueprint import Tensor
from stoker.model.parts import Part, Role, Split

_TOWER = re.compile(
    r"vision|visual|image|audio|speech|encoder|tower|patch|resampler|qformer|projector|adapter|merger|mtp|"
    r"talker|token2wav|codec"
)
_AUDIO = re.compile(r"audio|speech|sound")
_EMBEDDING = re.compile(r"(?:embed_tokens|embed_in|wte|word_embeddings|embeddings?|embed)\.weight$")
_HEAD = re.compile(r"(?:lm_head|embed_out|proj_out|output_projection)\.(?:weight|bias)$")
_SMALL = re.compile(r"norm|ln_|layernorm|\.bias$|gate\.weight$|router|_scale|sinks|correction|wpe|position")
_STATE = re.compile(r"conv1d|A_log|dt_bias|\.D$|conv\.weight$")
_KV = re.compile(r"(?:k_proj|v_proj|key|value)\.weight$")


@dataclass(frozen=True, slots=True)
class Assembled:
    """Parts by layer, those before the layers and behind them."""

    layers: dict[int, tuple[Part, ...]]
    first: tuple[Part, ...]
    last: tuple[Part, ...]


def assembled(tensors: Iterable[Tensor], kv_heads: int) -> Assembled:
    """Sorts a model's tensors. `kv_heads` are what the keys' and values' slices follow."""
    tensors = tuple(tensors)
    stack = _decoder(tensors)
    layers: dict[int, dict[Part, int]] = defaultdict(lambda: defaultdict(int))
    first: dict[Part, int] = defaultdict(int)
    last: dict[Part, int] = defaultdict(int)
    for one in tensors:
        if one.layer is not None and _stack(one.name) == stack:
            layers[one.layer][_inner(one.name[len(stack) + 3 :], kv_heads)] += one.parameters
        elif one.layer is not None or _TOWER.search(one.name):
            name = "audio_tower" if _AUDIO.search(one.name) else "vision_tower"
            first[Part(name, 0, "shard", "other")] += one.parameters
        elif _HEAD.search(one.name):
            last[Part("lm_head", 0, "vocab", "embedding")] += one.parameters
        else:
            first[_outer(one.name)] += one.parameters
    found = {n: _summed(parts) for n, parts in sorted(layers.items())}
    return Assembled(found, _summed(first), _summed(last))


def _summed(parts: dict[Part, int]) -> tuple[Part, ...]:
    return tuple(
        Part(part.name, count, part.split, part.role, part.heads, part.rows) for part, count in parts.items()
    )


def _stack(name: str) -> str:
    return name.partition(".*")[0]


def _decoder(tensors: tuple[Tensor, ...]) -> str:
    """The stack of layers that makes text: the largest that is no tower."""
    sizes: dict[str, int] = defaultdict(int)
    for one in tensors:
        if one.layer is not None:
            stack = _stack(one.name)
            sizes[stack] += one.parameters >> (20 if _TOWER.search(stack) else 0)
    return max(sizes, key=lambda stack: sizes[stack], default="")


def _inner(name: str, kv_heads: int) -> Part:
    """What a tensor of a layer is a share of; its parameters are not counted yet."""
    module = name.rpartition(".")[0] or name
    split: Split = "shard"
    role: Role = "linear"
    if "expert" in name and "shared" not in name and not name.endswith("correction_bias"):
        return Part("mlp.experts", 0, "shard", "expert")
    if _SMALL.search(name):
        split, role = "copy", "other"
    elif _STATE.search(name):
        role = "other"
    elif _KV.search(name) and kv_heads:
        return Part(module, 0, "kv", "linear", kv_heads)
    return Part(module, 0, split, role)


def _outer(name: str) -> Part:
    if _EMBEDDING.search(name):
        return Part("embed_tokens", 0, "vocab", "embedding")
    return Part(name.rpartition(".")[0] or name, 0, "copy", "other")
