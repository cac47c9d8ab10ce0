"""Is a folder a whole model? Read before anything is started, from headers alone."""

import stat
from pathlib import Path

from stoker.bounds import shown
from stoker.catalog.models import called
from stoker.errors import UsageError, WeightsFailed
from stoker.system import reading
from stoker.system.reading import Unreadable
from stoker.weights.headers import check_safetensors
from stoker.weights.reading import broken, read_object, refused

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
INDEX = "model.safetensors.index.json"
MOST_FILES = 20_000
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tekken.json", "vocab.json", "spiece.model")


def check_folder(folder: Path, *, adapter: bool = False) -> None:
    """Raises: UsageError, where it is no model folder; WeightsFailed, where a file of it is broken or
    missing."""
    config = folder / ("adapter_config.json" if adapter else "config.json")
    check_config(folder, config)
    read_object(config)
    # vLLM takes that one file of an adapter, or else its pickle
    names = "adapter_model.safetensors" if adapter else "*.safetensors"
    files = [path for path in listed(folder) if path.match(names)]
    if not files:
        _no_safetensors(folder, names)
    for file in files:
        check_safetensors(file)
    _check_index(folder)
    if not adapter and not any(reading.is_file(folder / name) for name in _TOKENIZERS):
        raise WeightsFailed(
            f"{folder} has no tokenizer",
            why=f"none of {', '.join(_TOKENIZERS)} is there",
            fix="copy the tokenizer's files too",
            rule="weights-tokenizer",
        )


def check_config(folder: Path, config: Path) -> None:
    """Raises: UsageError, where a folder, or its configuration, is not there."""
    try:
        found = reading.looked_at(folder)
        if found is None or not stat.S_ISDIR(found.st_mode):
            raise UsageError(
                f"{folder} is no folder",
                why=f"there is nothing of that name, so it has no {config.name}"
                if found is None
                else "it is a file",
                fix=f"name a Hugging Face model folder, or {_repository(folder.name)}",
                rule="weights-config",
            )
        if reading.looked_at(config) is None:
            raise UsageError(
                f"{folder} has no {config.name}",
                why="so it is no Hugging Face model folder",
                fix="name the folder that holds config.json and the safetensors files",
                rule="weights-config",
            )
    except Unreadable as error:
        raise refused(folder, error) from None


def _repository(name: str) -> str:
    """The repository that people call so, where the catalog knows one."""
    known = called(name)
    return f"hf://{known.repo}" if known else "hf://org/repo"


def listed(folder: Path) -> list[Path]:
    """What stands in a folder, by name. Raises: WeightsFailed, where it may not be read; UsageError, for too
    much."""
    out = []
    try:
        for path in folder.iterdir():
            out.append(path)
            if len(out) > MOST_FILES:
                raise UsageError(
                    f"{folder} is no model's folder",
                    why=f"it holds more than {MOST_FILES:,} files",
                    fix="name the folder that holds config.json",
                    rule="weights-config",
                )
    except OSError as error:
        raise refused(folder, reading.unreadable(error)) from None
    return sorted(out)


def _no_safetensors(folder: Path, names: str) -> None:
    pickles = [path.name for path in listed(folder) if path.suffix in PICKLES]
    if pickles:
        raise UsageError(
            f"{folder} holds its weights as pickles ({pickles[0]})",
            why="a pickle runs code when it is loaded; only safetensors are served",
            fix="save it again with `model.save_pretrained(FOLDER)`, which writes safetensors",
            rule="weights-pickle",
        )
    raise WeightsFailed(
        f"{folder} has no weights",
        why=f"there is no {names} file",
        fix="copy the safetensors files too",
        rule="weights-none",
    )


def _check_index(folder: Path) -> None:
    index = folder / INDEX
    if not reading.is_file(index):
        return
    placed = read_object(index).get("weight_map", {})
    if not isinstance(placed, dict) or not all(isinstance(name, str) for name in placed.values()):
        raise broken(index, f"{INDEX} names no files", f"its weight_map is {shown(placed)}")
    named = set(placed.values())
    missing = sorted(name for name in named if not _stands(folder, name))
    if missing:
        raise WeightsFailed(
            f"{len(missing)} of {len(named)} weight files are missing",
            at=str(folder),
            why=f"{shown(missing[0])[1:-1]} is not there",
            fix="copy them too",
            rule="weights-shards",
        )


def _stands(folder: Path, name: str) -> bool:
    """Whether an index's file is there, in the folder itself."""
    return 0 < len(name) < 256 and "/" not in name and "\0" not in name and reading.is_file(folder / name)
