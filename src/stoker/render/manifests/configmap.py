"""The small programs that pods run beside the engine: their text, in a ConfigMap."""

from functools import cache
from importlib.resources import files

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest

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


@cache
def _guard() -> str:
    return files("stoker").joinpath("guard.py").read_text("utf-8")


@cache
def _script(name: str) -> str:
    return files("stoker.render.manifests").joinpath(f"scripts/{name}").read_text("utf-8")
