"""Writes the lock files: full, hashed, one for every Python from 3.11 to 3.14. `make lock`, or `make lock
UPGRADE=1`.

uv resolves against the package index alone (the one that pip is configured with, PyPI otherwise): extra
places of this machine must not leak into files that others use. Only wheels are locked, so that an install
never compiles C. locks/torch.txt alone is kept by hand: the CPU build of PyTorch is not on PyPI.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sources import pip_settings, system_certificates, uv_environment

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Written by `make lock` from pyproject.toml and locks/in: change those.\n"
FLAGS = (
    "pip compile --quiet --universal --python-version 3.11 --generate-hashes --only-binary :all:"
    " --no-header --no-emit-index-url --no-emit-find-links"
)
SERVES = (
    "pyproject.toml locks/in/build.in locks/in/demo.in"
    " --extra local --extra demo --extra buckets --extra kubernetes --extra lint"
)
NEVER = "--excludes locks/in/never.in"
NO_TORCH = "--excludes locks/in/not-on-cpu.in"  # the flavour brings its own, or none
FOLLOW = (
    "--constraints locks/cpu.txt"  # one version of a package over all locks, as dev.txt goes on top of any
)


def main() -> None:
    """Writes every lock."""
    write("uv", "locks/in/uv.in")
    write("cpu", f"{SERVES} --extra engine-cpu locks/in/torch.in {NEVER} {NO_TORCH}")
    write("none", f"{SERVES} {NEVER} {FOLLOW}")
    write("cuda", f"{SERVES} --extra engine-cuda {NEVER}", like="cpu")
    write("site", "--group site")
    write("dev", f"--group dev {NEVER} {NO_TORCH} {FOLLOW}")


def write(name: str, arguments: str, like: str | None = None) -> None:
    """One lock; what the old one (or the one that it should be `like`) pins stays where it can."""
    out = ROOT / "locks" / f"{name}.txt"
    if like:
        shutil.copy(out.with_name(f"{like}.txt"), out)
    elif os.environ.get("UPGRADE"):
        out.unlink(missing_ok=True)
    argv = [
        os.environ.get("UV", ".venv/bin/uv"),
        *FLAGS.split(),
        *arguments.split(),
        "-o",
        f"locks/{name}.txt",
    ]
    subprocess.run(argv, env=environment(), stdout=subprocess.DEVNULL, cwd=ROOT, check=True)
    text = out.read_text().removeprefix(HEADER)
    out.write_text(HEADER + text)
    print(f"  ok    {name:<11} {text.count('==')} pins")


def environment() -> dict[str, str]:
    """This process', with pip's settings in uv's words, but for the places of this machine."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], stdout=subprocess.PIPE, text=True, check=False
    )
    settings = pip_settings(listing.stdout)
    for place in ("extra-index-url", "find-links"):
        settings.pop(place, None)
    return {**os.environ, **system_certificates(), **uv_environment(settings)}


if __name__ == "__main__":
    main()
