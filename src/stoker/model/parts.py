"""What a decoder is made of: the parts that hold weights, and what a layer keeps of each token."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stoker.bounds import finite

# How a part spreads over the ranks of a tensor-parallel group: in equal slices, by KV head (ranks beyond the
# heads hold copies), by slices of a vocabulary padded to 64, or whole on each rank.
Split = Literal["shard", "kv", "vocab", "copy"]
# What quantization does to a part: it takes linear layers and experts, and leaves embeddings and the rest.
Role = Literal["linear", "expert", "embedding", "other"]
Kind = Literal["full", "sliding", "chunked", "mla", "state"]

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """Weights that are split and quantized alike. `name` is the module's, as quantization configs name it.

    `rows` is the dimension that quantized kernels pad, 0 where none does; `heads` are the KV heads of a `kv`
    split.
    """

    name: str
    parameters: int
    split: Split = "shard"
    role: Role = "linear"
    heads: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """A part of what a linear-attention or Mamba layer remembers.

    elements: before sharding. recurrent: whether it is what is carried from token to token, which may have
    a dtype of its own, rather than the last inputs of a convolution. element: bytes that the model fixes, 0
    where the engine's dtype counts. groups of `each` elements come on top; where they do not divide, each
    rank has one.
    """

    elements: int
    recurrent: bool = False
    element: int = 0
    groups: int = 0
    each: int = 0

    def on_rank(self, tensor: int) -> int:
        """Elements on one rank. Source: vLLM `layers/mamba/mamba_utils.py`, mamba2_state_shape."""
        groups = self.groups if self.groups % tensor == 0 else tensor
        return (self.elements + groups * self.each) // tensor


@dataclass(frozen=True, slots=True)
class Cache:
    """What one layer keeps. `window` is in tokens: of a sliding window, or a chunk of local attention.

    kind full, sliding, chunked: K and V of `kv_heads` heads, `head_dim` and `value_dim` wide.
    kind mla: one latent of `head_dim` elements, each of `element` bytes where that is not the engine's to
    choose; sparse: it is read by an indexer, whose own cache stands beside it. kind state: `states`, the
    same for any length; marks: a prefill leaves one more on its way; chunk: tokens that its kernel takes at
    once.
    """

    kind: Kind
    kv_heads: int = 0
    head_dim: int = 0
    value_dim: int = 0
    window: int = 0
    states: tuple[State, ...] = ()
    marks: bool = False
    chunk: int = 0
    element: int = 0
    sparse: bool = False


@dataclass(frozen=True, slots=True)
class Experts:
    """A mixture-of-experts block: how many experts a token visits, and how wide one is."""

    per_token: int
    width: int


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer. `width` is the intermediate size of its dense MLP, 0 where it has none.

    `caches` are what it keeps: none where it reads what an earlier one keeps, two where attention and a
    state stand side by side, or an indexer beside a latent.
    """

    parts: tuple[Part, ...]
    caches: tuple[Cache, ...]
    width: int = 0
    experts: Experts | None = None


@dataclass(frozen=True, slots=True)
class Vision:
    """An image encoder: its depth, widths, patches an image, tokens an image, and the image's edge in pixels.

    `fixed` is false where images keep their own size: the figures are then those of a typical one. item and
    video are tokens of the largest image and the longest video, as far as they are known; `whole` says that
    they are read both ways, and so in one batch.
    """

    layers: int
    hidden: int
    width: int
    patches: int
    tokens: int
    pixels: int
    fixed: bool
    item: int = 0
    video: int = 0
    whole: bool = False


def number(config: Config, *names: str, default: int = 0) -> int:
    """The first of the fields that is there and a number that can be counted with, as a whole number."""
    for name in names:
        value = config.get(name)
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and finite(value)
            and abs(value) < 2**40
        ):
            return int(value)
    return default


def hidden(config: Config) -> int:
    """The width of the residual stream."""
    return number(config, "hidden_size", "n_embd", "d_model")
