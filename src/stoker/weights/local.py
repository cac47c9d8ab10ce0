"""Reading a model's folder on this machine: config, headers, chat template; no weights."""

import json
from pathlib import Path

from stoker.model.files import ModelFiles, TensorInfo
from stoker.units import Bytes
from stoker.weights.check import header_of, read_object, tensors_of


def peek_folder(folder: Path) -> ModelFiles:
    """What a folder says of its model. Raises: WeightsFailed, Mistake."""
    sizes = {p.name: Bytes(p.stat().st_size) for p in sorted(folder.iterdir()) if p.is_file()}
    tensors: dict[str, TensorInfo] = {}
    for name in sizes:
        if name.endswith(".safetensors"):
            tensors |= tensors_of(header_of(folder / name)[0])
    return ModelFiles(read_object(folder / "config.json"), sizes, tensors, chat_template(folder))


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
