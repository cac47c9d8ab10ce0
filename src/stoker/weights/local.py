"""Reading a model's folder on this machine: config, headers, chat template; no weights."""

import json
from pathlib import Path
from typing import Any

from stoker.errors import UsageError
from stoker.model.files import ModelFiles, TensorInfo
from stoker.system import reading
from stoker.units import Bytes
from stoker.weights.check import listed
from stoker.weights.headers import header_of, tensors_of
from stoker.weights.reading import TEMPLATE, read_object, read_text, there

MOST_TENSORS = 500_000
QUANTIZATION = "hf_quant_config.json"


def peek_folder(folder: Path) -> ModelFiles:
    """What a folder says of its model. Raises: WeightsFailed, UsageError."""
    found = listed(folder)
    sizes = {path.name: Bytes(path.stat().st_size) for path in found if reading.is_file(path)}
    tensors: dict[str, TensorInfo] = {}
    for path in found:
        if path.name.endswith(".safetensors"):
            tensors |= tensors_of(header_of(path)[0])
            check_count(len(tensors), str(folder))
    config = read_object(folder / "config.json")
    if reading.is_file(folder / QUANTIZATION) and "quantization_config" not in config:
        config |= {"quantization_config": quantization_of(read_object(folder / QUANTIZATION))}
    return ModelFiles(config, sizes, tensors, chat_template(folder))


def peek_file(file: Path) -> ModelFiles:
    """A config.json alone: nothing is known of weights, tokenizer or chat template. Raises: WeightsFailed."""
    return ModelFiles(read_object(file), {}, {}, None)


def quantization_of(raw: dict[str, Any]) -> dict[str, Any]:
    """What NVIDIA's ModelOpt writes beside config.json, as a `quantization_config`."""
    inner = raw.get("quantization", raw)
    return {"quant_method": "modelopt", **(inner if isinstance(inner, dict) else {})}


def check_count(tensors: int, at: str) -> None:
    """Raises: UsageError, for more tensors than any model has."""
    if tensors > MOST_TENSORS:
        raise UsageError(
            "these are more tensors than any model has",
            at=at,
            why=f"more than {MOST_TENSORS:,}",
            fix="name the folder of one model",
            rule="weights-tensors",
        )


def chat_template(folder: Path) -> str | None:
    """The model's chat template, from whichever file holds it."""
    if there(file := folder / "chat_template.jinja"):
        return read_text(file, TEMPLATE)
    for name in ("chat_template.json", "tokenizer_config.json"):
        if there(folder / name):
            found = read_object(folder / name).get("chat_template")
            if found:
                return found if isinstance(found, str) else json.dumps(found)
    return None
