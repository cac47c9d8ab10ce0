"""Where bytes are: sources, the cache, resumable copies, the demo models.

`fetch` gives a local folder that an engine can serve; `peek` reads what a model says of itself, without
weights.
"""

from pathlib import Path

from stoker.events import Report, silent
from stoker.model.files import ModelFiles
from stoker.spec.nouns import Bucket, Demo, Hub, LocalDir, ModelRef, Source
from stoker.system import paths
from stoker.system.reading import is_file
from stoker.weights.adapters import CONFIG as ADAPTER
from stoker.weights.adapters import adapter_rank as adapter_rank
from stoker.weights.adapters import rank_of
from stoker.weights.reading import expanded


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
        adapter = is_file(folder / ADAPTER) and not is_file(folder / "config.json")
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


def peek_adapter(source: Source, token: str | None = None, modules: frozenset[str] = frozenset()) -> int:
    """The rank that an adapter needs, read without its weights; modules are the model's. Raises: UsageError,
    for one that vLLM refuses; WeightsFailed."""
    match source:
        case LocalDir(path):
            return adapter_rank(expanded(path), modules)
        case Hub() | Bucket():
            from stoker.weights.copy import remote_of
            from stoker.weights.peeking import peek_object

            return rank_of(peek_object(remote_of(source, token), ADAPTER), str(source), modules)
        case _:
            return adapter_rank(fetch(source, cache=paths.weights(), token=token, adapter=True), modules)
