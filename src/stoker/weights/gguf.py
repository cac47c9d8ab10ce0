"""A GGUF file as a Hugging Face folder: tensors dequantized to float32, config and tokenizer written out.

What an architecture calls its tensors, and how its tokenizer works, is in a module of its own.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from stoker.errors import WeightsFailed
from stoker.weights import gguf_gemma3, gguf_llama

ARCHITECTURES: Mapping[str, ModuleType] = {"llama": gguf_llama, "gemma3": gguf_gemma3}


def convert(gguf_file: Path, folder: Path) -> None:
    """Writes the folder: model.safetensors, config.json, generation_config.json and the tokenizer's files.

    Raises: WeightsFailed, for an architecture that has no mapping here.
    """
    from gguf import GGUFReader
    from safetensors.numpy import save_file

    reader = GGUFReader(str(gguf_file))
    fields = {name: field.contents() for name, field in reader.fields.items()}
    form = ARCHITECTURES.get(fields["general.architecture"])
    if form is None:
        raise WeightsFailed(
            f"{gguf_file.name} is of the architecture {fields['general.architecture']}",
            why=f"only {' and '.join(ARCHITECTURES)} have a mapping",
            fix="use the model's safetensors",
        )
    save_file(
        dict(_tensors(reader, fields, form)), str(folder / "model.safetensors"), metadata={"format": "pt"}
    )
    for name, value in {
        "config.json": form.config(fields),
        "generation_config.json": _generation(fields),
        "tokenizer.json": form.tokenizer(fields),
        "tokenizer_config.json": form.tokenizer_config(fields),
    }.items():
        (folder / name).write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")


def _tensors(reader: Any, fields: dict[str, Any], form: ModuleType) -> Iterator[tuple[str, Any]]:
    import numpy as np
    from gguf.quants import dequantize

    for tensor in reader.tensors:
        array = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
        array = array.reshape(tuple(int(size) for size in reversed(tensor.shape)))
        yield (
            hugging_face_name(tensor.name, form),
            np.ascontiguousarray(form.array(tensor.name, array, fields)),
        )


def hugging_face_name(name: str, form: ModuleType) -> str:
    """`blk.3.attn_q.weight` is `model.layers.3.self_attn.q_proj.weight`. Raises: WeightsFailed."""
    if name in form.GLOBAL:
        found: str = form.GLOBAL[name]
        return found
    parts = name.split(".")
    if len(parts) == 4 and parts[0] == "blk" and parts[2] in form.LAYER:
        return f"model.layers.{parts[1]}.{form.LAYER[parts[2]]}.{parts[3]}"
    raise WeightsFailed(f"the tensor {name} has no name in Hugging Face's scheme", why="the mapping lacks it")


def _generation(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        key: fields[f"tokenizer.ggml.{name}_token_id"]
        for key, name in (("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding"))
    }
