"""Puts a peer into an environment of its own, pinned, in Stoker's cache: none stands beside Stoker's
packages, and none is installed twice.
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

from stoker.system import paths

# guidellm asks for PyTorch, 5 GB of it with CUDA: the CPU build is taken where an index has it.
PINNED: dict[str, tuple[tuple[str, ...], ...]] = {
    "guidellm": (("guidellm==0.8.1", "torch==2.13.0+cpu"), ("guidellm==0.8.1",)),
    "aiperf": (("aiperf==0.13.0",),),
    "locust": (("locust==2.47.0",),),
}


def program(name: str) -> Path:
    """The command of a peer, installed where it is not there yet.

    Raises: subprocess.CalledProcessError, where no index has it.
    """
    if name == "vllm":
        return Path(sys.executable).with_name("vllm")
    folder = paths.engine_cache().parent / "peers" / PINNED[name][0][0].replace("==", "-")
    if not (folder / "whole").exists():
        _install(name, folder)
    return folder / "bin" / name


def _install(name: str, folder: Path) -> None:
    print(f"installing {PINNED[name][0][0]} into {folder} …", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True, symlinks=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    *others, last = PINNED[name]
    for words in others:
        if subprocess.run([*pip, *words], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            break
    else:
        subprocess.run([*pip, *last], check=True)
    (folder / "whole").touch()
