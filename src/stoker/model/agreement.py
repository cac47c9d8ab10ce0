"""Whether the weights in a folder are those of its config.json: vLLM would serve others without a word."""

import re
from collections.abc import Mapping
from typing import Any

from stoker.errors import UsageError
from stoker.model import validation
from stoker.model.files import ModelFiles
from stoker.model.shape import FLOATS, ModelShape

# A decoder's layer in a tensor's name, and not a vision tower's.
_LAYER = re.compile(r"(?:model\.)?(?:language_model\.)?(?:model\.)?(?:layers|h)\.(\d+)\.")


def check_weights(files: ModelFiles, shape: ModelShape, at: str) -> None:
    """Whether the weights are of the model that config.json describes: vLLM would serve others without a
    word.

    Raises: UsageError, where layers are missing or too many, or the embedding has another size.
    """
    config = validation.text_of(files.config)
    for name, tensor in files.tensors.items():
        if name.endswith("embed_tokens.weight") and "vision" not in name and tensor.dtype in FLOATS:
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
    hidden_size, vocabulary = config.get("hidden_size"), config.get("vocab_size")
    if not found:
        raise _other_weights(f"{name} is a single number", at)
    if hidden_size and len(found) == 2 and found[1] != hidden_size:
        raise _other_weights(
            f"{name} is {found[0]} x {found[1]}, config.json has hidden_size {hidden_size}", at
        )
    if vocabulary and found[0] < vocabulary:
        raise _other_weights(f"{name} has {found[0]} rows, config.json has vocab_size {vocabulary}", at)


def _other_weights(why: str, at: str) -> UsageError:
    return UsageError(
        "the weights are not those of config.json",
        at=at,
        why=why,
        fix="copy config.json and the safetensors files of one and the same model",
        rule="weights-differ",
    )
