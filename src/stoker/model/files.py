"""ModelFiles: what a model's folder says of itself before any weight is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stoker.units import Bytes


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a safetensors header: dtype as written there (`BF16`), shape, and its bytes."""

    dtype: str
    shape: tuple[int, ...]
    size: Bytes


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """config.json, the safetensors headers, and the names and sizes of all files; no weights.

    `tensors` is empty where the source gives no headers (a folder with config.json alone).
    """

    config: Mapping[str, Any]
    sizes: Mapping[str, Bytes]
    tensors: Mapping[str, TensorInfo] = field(default_factory=dict)
    chat_template: str | None = None

    @property
    def weight_bytes(self) -> Bytes:
        """Bytes of all safetensors files."""
        return Bytes(sum(size for name, size in self.sizes.items() if name.endswith(".safetensors")))
