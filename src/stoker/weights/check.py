"""Is a folder a whole model? Read before anything is started, from headers alone."""

import json
import struct
from pathlib import Path
from typing import Any

from stoker.errors import Mistake, WeightsFailed
from stoker.model.files import TensorInfo
from stoker.units import Bytes

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
MAX_HEADER = 100 * 1024 * 1024
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json", "spiece.model")


def check_folder(folder: Path, *, adapter: bool = False) -> None:
    """Raises: Mistake, where it is no model folder; WeightsFailed, where a file of it is broken or missing."""
    config = folder / ("adapter_config.json" if adapter else "config.json")
    if not folder.is_dir():
        raise Mistake(
            f"{folder} is no folder",
            why="there is nothing of that name" if not folder.exists() else "it is a file",
            fix="name a Hugging Face model folder, or hf://org/repo",
        )
    if not config.is_file():
        raise Mistake(
            f"{folder} has no {config.name}",
            why="so it is no Hugging Face model folder",
            fix="name the folder that holds config.json and the safetensors files",
            rule="weights-config",
        )
    read_object(config)
    # vLLM takes that one file of an adapter, or else its pickle
    names = "adapter_model.safetensors" if adapter else "*.safetensors"
    files = sorted(folder.glob(names))
    if not files:
        _no_safetensors(folder, names)
    for file in files:
        check_safetensors(file)
    _check_index(folder)
    if not adapter and not any((folder / name).exists() for name in _TOKENIZERS):
        raise WeightsFailed(
            f"{folder} has no tokenizer",
            why=f"none of {', '.join(_TOKENIZERS)} is there",
            fix="copy the tokenizer's files too",
            rule="weights-tokenizer",
        )


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises: WeightsFailed."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsFailed(
            f"{path.name} cannot be read", at=str(path), why=str(error), fix="copy the file again"
        ) from None
    if not isinstance(value, dict):
        raise WeightsFailed(
            f"{path.name} holds no object",
            at=str(path),
            why=f"it is a {type(value).__name__}",
            fix="copy the file again",
        )
    return value


def _no_safetensors(folder: Path, names: str) -> None:
    pickles = [p.name for p in folder.iterdir() if p.suffix in PICKLES]
    if pickles:
        raise Mistake(
            f"{folder} holds its weights as pickles ({pickles[0]})", why="a pickle runs code when it is loaded; only safetensors are served",
            fix="save it again with `model.save_pretrained(FOLDER)`, which writes safetensors", rule="weights-pickle",
        )  # fmt: skip
    raise WeightsFailed(
        f"{folder} has no weights",
        why=f"there is no {names} file",
        fix="copy the safetensors files too",
        rule="weights-none",
    )


def _check_index(folder: Path) -> None:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        named = set(read_object(index).get("weight_map", {}).values())
        missing = sorted(name for name in named if not (folder / name).exists())
        if missing:
            raise WeightsFailed(
                f"{len(missing)} of {len(named)} weight files are missing",
                at=str(folder),
                why=f"{missing[0]} is not there",
                fix="copy them too",
                rule="weights-shards",
            )


def check_safetensors(file: Path) -> None:
    """Whether the file is as long as its own header says. Raises: WeightsFailed."""
    header, start = header_of(file)
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    expected, real = start + max(ends, default=0), file.stat().st_size
    if expected != real:
        word = "truncated" if real < expected else "too long"
        raise WeightsFailed(
            f"{file.name} is {word}",
            at=str(file),
            why=f"its header says {expected:,} bytes, it has {real:,}",
            fix="copy the file again",
            rule="weights-truncated",
        )


def header_of(file: Path) -> tuple[dict[str, Any], int]:
    """A safetensors file's header, and where its data starts. Raises: WeightsFailed."""
    with file.open("rb") as opened:
        prefix = opened.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        body = opened.read(length) if 2 <= length <= MAX_HEADER else b""
    return parse_header(body, length, file.name, str(file)), 8 + length


def parse_header(body: bytes, length: int, name: str, at: str) -> dict[str, Any]:
    """The header's JSON. Raises: WeightsFailed."""
    try:
        if len(body) != length or not body:
            raise ValueError("it ends within its header")
        header = json.loads(body)
        if not isinstance(header, dict):
            raise ValueError("its header is no object")
    except ValueError as error:
        raise WeightsFailed(
            f"{name} is no whole safetensors file",
            at=at,
            why=str(error),
            fix="copy the file again",
            rule="weights-truncated",
        ) from None
    return header


def tensors_of(header: dict[str, Any]) -> dict[str, TensorInfo]:
    """The tensors that a header lists."""
    return {
        name: TensorInfo(
            entry["dtype"], tuple(entry["shape"]), Bytes(entry["data_offsets"][1] - entry["data_offsets"][0])
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }
