"""Several kubeconfigs as one, as kubectl reads KUBECONFIG: of what stands twice, the first counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from lightkube import KubeConfig

NAMED = ("clusters", "contexts", "users")
# Paths that a file gives relative to itself.
PATHS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
}


def read(names: Sequence[str]) -> KubeConfig:
    """The files of KUBECONFIG, those that are not there left out. Raises: what the library meets in a file
    that is none."""
    if len(names) == 1:
        return KubeConfig.from_file(names[0])
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", **{part: [] for part in NAMED}}
    there = [path for path in (Path(name).expanduser() for name in names) if path.exists()]
    for path in there:
        text = yaml.safe_load(path.read_text()) or {}
        if text.get("current-context"):
            merged.setdefault("current-context", text["current-context"])
        for part in NAMED:
            known = {one["name"] for one in merged[part]}
            merged[part] += [
                _placed(one, part, path) for one in text.get(part) or () if one["name"] not in known
            ]
    if not there:
        return KubeConfig.from_file(names[0])
    return KubeConfig.from_dict(merged)


def _placed(entry: dict[str, Any], part: str, file: Path) -> dict[str, Any]:
    """An entry whose paths hold from anywhere."""
    if part not in PATHS:
        return entry
    inner, keys = PATHS[part]
    body = dict(entry.get(inner) or {})
    for key in keys:
        if body.get(key):
            body[key] = str(file.parent.absolute() / body[key])
    return {**entry, inner: body}


def why(error: Exception) -> str:
    """What the library met in a file that it cannot use, in a line."""
    return f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
