"""Layout: how one replica spreads over GPUs and nodes, and which layers each pipeline stage holds."""

from dataclasses import dataclass

from stoker.model.parts import Layer
from stoker.model.shape import ModelShape
from stoker.planner.shards import Sharding, cut_through
from stoker.spec.nouns import Strategy

ANY = Sharding()


@dataclass(frozen=True, slots=True, order=True)
class Layout:
    """Ranks of one replica: `tensor` of them share each layer, `pipeline` stages hold the layers in turn."""

    nodes: int = 1
    pipeline: int = 1
    tensor: int = 1

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor * self.pipeline

    @property
    def strategy(self) -> Strategy:
        """The guide's name for it."""
        if self.nodes > 1:
            return "multi-node"
        return "tensor-parallel" if self.gpus > 1 else "single-gpu"

    def __str__(self) -> str:
        if self.gpus == 1:
            return "one GPU"
        parts = [f"TP {self.tensor}"] * (self.tensor > 1) + [f"PP {self.pipeline}"] * (self.pipeline > 1)
        return " x ".join(parts) + (f" over {self.nodes} nodes" if self.nodes > 1 else "")


def stages(layers: int, pipeline: int) -> tuple[range, ...]:
    """The layers of each stage; what does not divide goes to the last but one first. Source: vLLM
    get_pp_indices."""
    counts = [layers // pipeline] * pipeline
    for index in range(2, layers % pipeline + 2):
        counts[-index] += 1
    out, at = [], 0
    for count in counts:
        out.append(range(at, at + count))
        at += count
    return tuple(out)


def divides(shape: ModelShape, tensor: int, sharding: Sharding = ANY) -> str | None:
    """Why a tensor parallel size cannot split the model; None where it can."""
    return _divides(shape, shape.kinds, tensor, sharding)


def _divides(shape: ModelShape, kinds: tuple[Layer, ...], tensor: int, sharding: Sharding) -> str | None:
    if shape.heads % tensor:
        return f"{tensor} does not divide the model's {shape.heads} attention heads"
    for kv in sorted(
        {
            cache.kv_heads
            for one in kinds
            for cache in one.caches
            if cache.kind in ("full", "sliding", "chunked")
        }
    ):
        if kv % tensor and tensor % kv:
            return f"{tensor} neither divides the model's {kv} KV heads nor is a multiple of them"
    for layer in kinds:
        for width in (layer.width, layer.experts.width if layer.experts else 0):
            if width % tensor:
                return f"{tensor} does not divide the model's intermediate size {width}"
    return cut_through(shape, kinds, tensor, sharding)


def tensor_sizes(shape: ModelShape, most: int, sharding: Sharding = ANY) -> tuple[int, ...]:
    """Tensor parallel sizes up to `most` that split the model."""
    kinds = shape.kinds
    return tuple(size for size in range(1, most + 1) if _divides(shape, kinds, size, sharding) is None)
