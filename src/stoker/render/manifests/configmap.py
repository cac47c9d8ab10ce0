"""The small programs that pods run beside the engine, and the files that its options name: their text, in
ConfigMaps."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.spec.carried import FILES

FOLDER = "/etc/stoker"
GUARD = "stoker_guard"  # the module of `stoker.guard` in a pod
WITNESS = "stoker_witness"
PROGRAMS = ("alive.py", "leave.py", f"{WITNESS}.py", "stoker_ask.py", "stoker_request.py", "stoker_warmup.py")


def scripts(cluster: Cluster) -> tuple[Manifest, ...]:
    """The ConfigMap; nothing for simulated engines, whose image has no use for them."""
    if cluster.spec.engine.kind == "simulated":
        return ()
    names = [*PROGRAMS, *["outlive.py"] * (cluster.plan.nodes > 1)]
    texts = {name: _script(name) for name in names}
    if cluster.key_secret:
        texts[f"{GUARD}.py"] = _guard()
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": cluster.meta(f"{cluster.name}-scripts"),
        "data": texts,
    }
    return (Manifest(body),)


def carried(cluster: Cluster) -> tuple[Manifest, ...]:
    """The ConfigMap of the plan's files; others have another, so that a rollback finds its own."""
    if not cluster.plan.files:
        return ()
    texts = {_key(path): text for path, text in sorted(cluster.plan.files.items())}
    meta = cluster.meta(_name(cluster))
    return (Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": texts}),)


def carried_volume(cluster: Cluster) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Their volume with its mount; none without files."""
    if not cluster.plan.files:
        return []
    items = [{"key": _key(path), "path": path} for path in sorted(cluster.plan.files)]
    volume = {"name": "files", "configMap": {"name": _name(cluster), "items": items}}
    return [(volume, {"name": "files", "mountPath": FILES, "readOnly": True})]


def _name(cluster: Cluster) -> str:
    said = "\0".join(part for pair in sorted(cluster.plan.files.items()) for part in pair)
    return f"{cluster.name}-files-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def _key(path: str) -> str:
    return path.replace("/", "..")


@cache
def _guard() -> str:
    return files("stoker").joinpath("guard.py").read_text("utf-8")


@cache
def _script(name: str) -> str:
    return files("stoker.render.manifests").joinpath(f"scripts/{name}").read_text("utf-8")
