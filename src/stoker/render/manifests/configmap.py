"""The small programs that pods run beside the engine: their text, in a ConfigMap."""

from functools import cache
from importlib.resources import files

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest

FOLDER = "/etc/stoker"


def scripts(cluster: Cluster) -> tuple[Manifest, ...]:
    """The ConfigMap; nothing for simulated engines, whose image has no use for them."""
    if cluster.spec.engine.kind == "simulated":
        return ()
    names = ["alive.py"] + ["outlive.py"] * (cluster.plan.nodes > 1)
    texts = {name: _script(name) for name in names}
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": cluster.meta(f"{cluster.name}-scripts"),
        "data": texts,
    }
    return (Manifest(body),)


@cache
def _script(name: str) -> str:
    return files("stoker.render.manifests").joinpath(f"scripts/{name}").read_text("utf-8")
