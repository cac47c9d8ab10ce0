"""Reading a model's folder on this machine: config, headers, chat template; no weights."""

import json
from pathlib import Path
from typing import Any

from stoker.model.files import ModelFiles, TensorInfo
from stoker.units import Bytes
from stoker.weights.check import header_of, read_object, tensors_of

QUANTIZATION = "hf_quant_config.json"


def peek_folder(folder: Path) -> ModelFiles:
    """What a folder says of its model. Raises: WeightsFailed, Mistake."""
    sizes = {p.name: Bytes(p.stat().st_size) for p in sorted(folder.iterdir()) if p.is_file()}
    tensors: dict[str, TensorInfo] = {}
    for name in sizes:
        if name.endswith(".safetensors"):
            tensors |= tensors_of(header_of(folder / name)[0])
    config = read_object(folder / "config.json")
    if (folder / QUANTIZATION).is_file() and "quantization_config" not in config:
        config |= {"quantization_config": quantization_of(read_object(folder / QUANTIZATION))}
    return ModelFiles(config, sizes, tensors, chat_template(folder))


def peek_file(file: Path) -> ModelFiles:
    """A config.json alone: nothing is known of weights, tokenizer or chat template. Raises: WeightsFailed."""
    return ModelFiles(read_object(file), {}, {}, None)


def quantization_of(raw: dict[str, Any]) -> dict[str, Any]:
    """What NVIDIA's ModelOpt writes beside config.json, as a `quantization_config`."""
    return {"quant_method": "modelopt", **raw.get("quantization", raw)}


def chat_template(folder: Path) -> str | None:
    """The model's chat template, from whichever file holds it."""
    if (file := folder / "chat_template.jinja").exists():
        return file.read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).exists():
            found = read_object(folder / name).get("chat_template")
            if found:
                return found if isinstance(found, str) else json.dumps(found)
    return None
