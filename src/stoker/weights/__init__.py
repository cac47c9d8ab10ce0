"""Where bytes are: sources, the cache, resumable copies, the demo models.

`fetch` gives a local folder that an engine can serve; `peek` reads what a model says of itself, without
weights.
"""

from pathlib import Path

from stoker.bounds import shown
from stoker.errors import UsageError
from stoker.events import Report, silent
from stoker.model.files import ModelFiles
from stoker.spec.nouns import Bucket, Demo, Hub, LocalDir, ModelRef, Source
from stoker.system import paths
from stoker.system.reading import is_file
from stoker.weights.reading import expanded, read_object


def fetch(
    source: Source,
    *,
    cache: Path,
    report: Report = silent,
    token: str | None = None,
    adapter: bool | None = False,
) -> Path:
    """A checked local folder with the model: the source's own, or a copy in the cache.

    adapter: it is to be a LoRA adapter; None takes either.

    Raises: UsageError, for what is no model; WeightsFailed, for what cannot be read, copied or verified.
    """
    from stoker.weights.check import check_folder

    folder = _folder(source, cache, report, token)
    if adapter is None:
        adapter = is_file(folder / "adapter_config.json") and not is_file(folder / "config.json")
    check_folder(folder, adapter=adapter)
    return folder


def _folder(source: Source, cache: Path, report: Report, token: str | None) -> Path:
    match source:
        case LocalDir(path):
            return expanded(path).absolute()
        case Demo(name):
            from stoker.weights.demo import demo_folder

            return demo_folder(name, cache, report)
        case Hub() | Bucket():
            from stoker.weights.copy import copied

            return copied(source, cache, report, token)


def peek(ref: ModelRef, token: str | None = None) -> ModelFiles:
    """config.json, sizes and headers of a model; nothing is downloaded but those. Raises: UsageError,
    WeightsFailed."""
    from stoker.weights.check import check_config
    from stoker.weights.local import peek_file, peek_folder

    match ref.source:
        case LocalDir(path):
            place = expanded(path)
            if place.suffix == ".json" and is_file(place):
                return peek_file(place)
            check_config(place, place / "config.json")
            return peek_folder(place)
        case Hub() | Bucket():
            from stoker.weights.copy import remote_of
            from stoker.weights.peeking import peek_remote

            return peek_remote(remote_of(ref.source, token))
        case _:
            return peek_folder(fetch(ref.source, cache=paths.weights(), token=token))


def adapter_rank(folder: Path) -> int:
    """The rank of a staged LoRA adapter. Raises: UsageError, where it is no LoRA adapter."""
    config = read_object(folder / "adapter_config.json")
    rank = config.get("r")
    if config.get("peft_type", "LORA") != "LORA" or type(rank) is not int or not 1 <= rank < 2**31:
        raise UsageError(
            f"{folder} is no LoRA adapter",
            why=f"its adapter_config.json says peft_type {shown(config.get('peft_type'))}, r {shown(rank)}",
            fix="only LoRA adapters are served; merge others into the model's weights",
            rule="weights-adapter",
        )
    return rank
