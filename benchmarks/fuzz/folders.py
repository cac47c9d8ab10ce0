"""Model folders: a whole small one, of which a file is mutated, exchanged for something else, or taken
away."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from tests import models

from benchmarks.fuzz import mutations
from benchmarks.fuzz.cases import ROOT, command, machine
from stoker.errors import StokerError

Files = dict[str, bytes]
_PLACES = (
    "config.json",
    "model.safetensors",
    "model-00002-of-00002.safetensors",
    "model.safetensors.index.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "chat_template.jinja",
    "hf_quant_config.json",
    "generation_config.json",
    "chat_template.json",
    "x.safetensors",
    "adapter_config.json",
    "adapter_model.safetensors",
)
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\noid "
    b"sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


@cache
def configs() -> tuple[dict[str, Any], ...]:
    """config.json of models of many kinds, as small as it goes."""
    small = {"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]}
    found = [
        value | {"num_hidden_layers": 2}
        for name, value in vars(models).items()
        if name.isupper() and isinstance(value, dict)
    ]
    found = [one | ({"layer_types": small["layer_types"]} if "layer_types" in one else {}) for one in found]
    quantized = {
        "quant_method": "compressed-tensors",
        "ignore": ["lm_head", "re:.*router"],
        "kv_cache_scheme": {"num_bits": 8, "type": "float"},
        "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 128, "type": "int"}}},
    }
    return (
        *found,
        models.LLAMA_8B | {"num_hidden_layers": 2, "quantization_config": quantized},
        *(json.loads(path.read_text()) for path in sorted(ROOT.glob("tests/data/configs/*.json"))),
    )


@cache
def keys() -> tuple[str, ...]:
    """Every key of them, and some that other families have."""
    found = {str(key) for config in configs() for _, key in mutations.spots(config)}
    more = (
        "vision_config",
        "audio_config",
        "layers_block_type",
        "moe_layers",
        "mlp_only_layers",
        "full_attention_interval",
        "attention_chunk_size",
        "hf_quant",
        "per_layer_config",
        "use_sliding_window",
        "max_window_layers",
        "n_layer",
        "ignore",
        "weight_block_size",
        "multi_query",
        "num_kv_shared_layers",
        "rope_parameters",
        "pixel_shuffle_ratio",
        "text_config",
    )
    return (*sorted(found), *more)


def header_of(config: dict[str, Any]) -> dict[str, Any]:
    """The header of a model's weights, with as much in it as is checked."""
    text = config.get("text_config", config)
    out: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for layer in range(2):
        out[f"model.layers.{layer}.mlp.weight"] = {
            "dtype": "BF16",
            "shape": [4, 8],
            "data_offsets": [at, at + 64],
        }
        at += 64
    size = 2 * text["hidden_size"] * text["vocab_size"]
    out["model.embed_tokens.weight"] = {
        "dtype": "BF16",
        "shape": [text["vocab_size"], text["hidden_size"]],
        "data_offsets": [at, at + size],
    }
    return out


def safetensors(body: bytes, length: int | None = None) -> bytes:
    """A header with its length before it; its data is a hole of the file, made when it is written."""
    return struct.pack("<Q", (len(body) if length is None else length) % 2**64) + body


def _wrong_length(size: int, chance: random.Random) -> int | None:
    if chance.random() < 0.9:
        return None
    return chance.choice((0, 1, 2**63, 2**64 - 1, 10**8, size + 1, size - 1, 2**24 + 1))


def make(chance: random.Random) -> dict[str, Any]:
    """A folder: its files, what stands where a file should, and whether the command line reads it."""
    config = chance.choice(configs())
    header = header_of(config)
    index = {"metadata": {}, "weight_map": dict.fromkeys(header, "model.safetensors")}
    tokenizer = {"chat_template": "{{ messages }}", "eos_token": "</s>"}
    trees: dict[str, Any] = {
        "config.json": config,
        "model.safetensors": header,
        "model.safetensors.index.json": index,
        "tokenizer_config.json": tokenizer,
        "hf_quant_config.json": {"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head"]}},
    }
    case: dict[str, Any] = {
        "other": {},
        "whole": chance.random() < 0.04,
        "texts": {"tokenizer.json": b"{}"},
        "header": header,
    }
    for name in chance.sample(list(trees), chance.choice((1, 1, 2))) if chance.random() < 0.85 else ():
        trees[name] = mutations.mutate_tree(trees[name], chance, keys())
    for name, tree in trees.items():
        if name == "hf_quant_config.json" and chance.random() < 0.7:
            continue
        text = mutations.raw(json.dumps(tree)).encode("utf-8", "surrogatepass")
        if chance.random() < 0.08:
            text = mutations.mutate_bytes(text, chance, b'{"a": [1, 2, 3]}')
        case["texts"][name] = text
        if name.endswith(".safetensors"):
            case["texts"][name] = safetensors(text, _wrong_length(len(text), chance))
    if chance.random() < 0.25:
        place = chance.choice(_PLACES)
        kinds = (
            "pipe",
            "folder",
            "loop",
            "socket",
            "pointer",
            "gone",
            "binary",
            "empty",
            "zero",
            "dangling",
            "large",
            "closed",
        )
        case["other"][place] = chance.choice(kinds)
    if chance.random() < 0.1:
        case["texts"]["chat_template.jinja"] = mutations.mutate_bytes(b"{{ messages }}", chance, b"\xff\xfe")
    return case


def _write(folder: Path, case: dict[str, Any]) -> None:
    for name, text in case["texts"].items():
        with (folder / name).open("wb") as file:
            file.write(text)
            if name.endswith(".safetensors"):
                data = max(v["data_offsets"][1] for k, v in case["header"].items() if k != "__metadata__")
                file.truncate(len(text) + data)
    for name, kind in case["other"].items():
        path = folder / name
        path.unlink(missing_ok=True)
        _replace(path, kind)


def _replace(path: Path, kind: str) -> None:
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path.name)
        case "zero":
            path.symlink_to("/dev/zero")
        case "dangling":
            path.symlink_to("nowhere")
        case "socket":
            import socket

            with socket.socket(socket.AF_UNIX) as one:
                one.bind(str(path))
        case "pointer":
            path.write_bytes(POINTER)
        case "binary":
            path.write_bytes(bytes(range(256)))
        case "empty":
            path.write_bytes(b"")
        case "large":
            with path.open("wb") as file:
                file.truncate(300 * 1024**2)
        case "closed":
            path.write_bytes(b"{}")
            path.chmod(0)


def read(case: dict[str, Any]) -> None:
    """What `up` and `plan` read of a folder, here and for a GPU."""
    from stoker import weights
    from stoker.model.agreement import check_weights
    from stoker.model.shape import read_shape
    from stoker.planner.requested import plan_asked
    from stoker.spec import load
    from stoker.spec.nouns import LocalDir, ModelRef

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    try:
        _write(folder, case)
        if case["whole"]:
            command("plan", str(folder), "--gpu", "l4")
            command("models", "show", str(folder))
            return
        with contextlib.suppress(StokerError):
            weights.fetch(LocalDir(str(folder)), cache=folder / "cache")
        files = weights.peek(ModelRef(LocalDir(str(folder)), "m"))
        shape = read_shape(files)
        for gpu in ("l4", "h100-80gb"):
            with contextlib.suppress(StokerError):
                plan_asked(load(f"{{model: ./m, hardware: {gpu}}}"), shape, "m")
        _here(shape)
        check_weights(files, shape, "m")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _here(shape: Any) -> None:
    from stoker.planner.local import plan_local
    from stoker.spec import load

    with contextlib.suppress(StokerError):
        plan_local(load("model: ./m"), shape, machine(), "/m")
