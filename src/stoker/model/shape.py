"""ModelShape: what a plan needs to know of a model, out of config.json and the safetensors headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stoker.errors import Mistake
from stoker.model.files import ModelFiles
from stoker.units import Bytes

_FLOATS = ("F32", "F16", "BF16")
# A decoder's layer in a tensor's name, and not a vision tower's.
_LAYER = re.compile(r"(?:model\.)?(?:language_model\.)?(?:model\.)?(?:layers|h)\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A decoder's dimensions. `weight_bytes` is what stands on disk; `parameters` is None without headers."""

    architecture: str
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    max_len: int
    dtype: str
    weight_bytes: Bytes
    parameters: int | None
    has_chat_template: bool

    def kv_bytes_per_token(self, element: int) -> Bytes:
        """KV cache held by one token over all layers: 2 (K and V) * layers * kv_heads * head_dim * element size."""
        return Bytes(2 * self.layers * self.kv_heads * self.head_dim * element)


def read_shape(files: ModelFiles) -> ModelShape:
    """Reads the shape. Raises: Mistake, naming the field of config.json that is missing."""
    config = files.config
    text: Mapping[str, Any] = config.get("text_config") or config
    heads = int(_field(text, "num_attention_heads"))
    dtype = (
        text.get("dtype")
        or text.get("torch_dtype")
        or config.get("dtype")
        or config.get("torch_dtype")
        or "bfloat16"
    )
    return ModelShape(
        architecture=(config.get("architectures") or ["unknown"])[0],
        layers=int(_field(text, "num_hidden_layers")),
        heads=heads,
        kv_heads=int(text.get("num_key_value_heads") or heads),
        head_dim=int(text.get("head_dim") or _field(text, "hidden_size") // heads),
        max_len=int(text.get("max_position_embeddings") or text.get("n_positions") or 2048),
        dtype=str(dtype),
        weight_bytes=files.weight_bytes,
        parameters=_parameters(files),
        has_chat_template=files.chat_template is not None,
    )


def _parameters(files: ModelFiles) -> int | None:
    if not files.tensors:
        return None
    total = 0
    for tensor in files.tensors.values():
        count = 1
        for size in tensor.shape:
            count *= size
        total += count
    return total


def _field(config: Mapping[str, Any], name: str) -> Any:
    if config.get(name) is None:
        raise Mistake(
            f"config.json has no {name}",
            why="the model's shape cannot be read",
            fix="is this a Hugging Face model folder?",
        )
    return config[name]


def check_weights(files: ModelFiles, shape: ModelShape, at: str) -> None:
    """Whether the weights are of the model that config.json describes: vLLM would serve others without a word.

    Raises: Mistake, where layers are missing or too many, or the embedding has another size.
    """
    config: Mapping[str, Any] = files.config.get("text_config") or files.config
    for name, tensor in files.tensors.items():
        if name.endswith("embed_tokens.weight") and "vision" not in name and tensor.dtype in _FLOATS:
            _check_embedding(name, tensor.shape, config, at)
    numbers = {int(found[1]) for name in files.tensors if (found := _LAYER.match(name))}
    missing = sorted(set(range(shape.layers)) - numbers)
    if numbers and missing:
        raise _other_weights(
            f"config.json has {shape.layers} layers, the weights lack layer {missing[0]}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else ""),
            at,
        )


def _check_embedding(name: str, found: tuple[int, ...], config: Mapping[str, Any], at: str) -> None:
    hidden, vocabulary = config.get("hidden_size"), config.get("vocab_size")
    if hidden and len(found) == 2 and found[1] != hidden:
        raise _other_weights(f"{name} is {found[0]} x {found[1]}, config.json has hidden_size {hidden}", at)
    if vocabulary and found[0] < vocabulary:
        raise _other_weights(f"{name} has {found[0]} rows, config.json has vocab_size {vocabulary}", at)


def _other_weights(why: str, at: str) -> Mistake:
    return Mistake(
        "the weights are not those of config.json", at=at, why=why,
        fix="copy config.json and the safetensors files of one and the same model", rule="weights-differ",
    )  # fmt: skip
