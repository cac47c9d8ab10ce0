"""Commands that are printed to be typed: they work where the user stands, for the fleet that is meant."""

import os
import shlex
import shutil
import sys
from pathlib import Path

from stoker.cli.common import SpecOptions, read_spec
from stoker.errors import UsageError
from stoker.spec.loader import DEFAULT_FILE
from stoker.spec.nouns import ServeSpec


def program() -> str:
    """How this program can be called again from here: by its name, its path from here, or its whole path."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{_path(Path(sys.executable), 'python3', 'python')} -m stoker"
    return _path(called, "stoker") if called.name == "stoker" else "stoker"


def _path(place: Path, *names: str) -> str:
    """The shortest of a program's names that leads to it from here."""
    for name in names:
        found = shutil.which(name)
        if found is not None and os.path.exists(place) and os.path.samefile(found, place):
            return name
    here, whole = Path.cwd(), Path(os.path.abspath(place))
    return shlex.quote(str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole))


def source_words(model: str | None, file: str | None) -> str:
    """What leads a verb to the same model or file, as it was typed, with a space before."""
    words = ["-f", file] if file is not None else [model] if model is not None else []
    return "".join(f" {shlex.quote(word)}" for word in words)


def local_words(name: str, running: tuple[str, ...]) -> str:
    """The options that lead a verb to this machine's fleet of that name, with a space before; often none."""
    here = _spec_here()
    words = ["--target", "local"] if here is not None and here.target != "local" else []
    if running != (name,) and (here is None or here.name != name):
        words += ["--name", name]
    return "".join(f" {word}" for word in words)


def cluster_words(spec: ServeSpec, file: str | None) -> str:
    """The options that lead a verb to a cluster's fleet, by the file that was named; a space before."""
    words = ["-f", file] if file is not None else []
    read = _spec_here(file)
    if read is None or read.target != spec.target:
        words += ["--target", spec.target]
    if read is None or read.name != spec.name:
        words += ["--name", spec.name]
    if read is None or read.kubernetes.namespace != spec.kubernetes.namespace:
        words += ["-n", spec.kubernetes.namespace]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _spec_here(file: str | None = None) -> ServeSpec | None:
    """The spec that a verb would read by itself, or of that file; None where there is none to read."""
    if file is None and not os.path.lexists(DEFAULT_FILE):
        return None
    try:
        return read_spec(None, SpecOptions(file))
    except UsageError:
        return None
