"""What runs a fleet's engines, Deployment or LeaderWorkerSet, read alike."""

from typing import Any

from stoker.targets.kubernetes.client import Api, Object

COMPONENT = "app.kubernetes.io/component"


def ours(body: Object) -> bool:
    """Whether Stoker made it."""
    return bool((body["metadata"].get("labels") or {}).get("app.kubernetes.io/managed-by") == "stoker")


def component(body: Object) -> str:
    """What of a fleet it is: its engine, its gateway, or what tests it."""
    return str((body["metadata"].get("labels") or {}).get(COMPONENT, ""))


def served(owner: Object | None) -> str | None:
    """The name under which the engine serves its model, out of its command."""
    containers = template(owner)["spec"]["containers"] if owner else ()
    words = [word for one in containers if one["name"] == "engine" for word in one.get("command", ())]
    flag = "--served-model-name"
    return words[words.index(flag) + 1] if flag in words[:-1] else None


def workloads(api: Api, namespace: str | None) -> tuple[Object, ...]:
    """The Deployment or LeaderWorkerSet of each fleet of a namespace, or of all, by namespace and name."""
    engines = "app.kubernetes.io/managed-by=stoker,app.kubernetes.io/component=engine"
    found = [
        *api.list("Deployment", namespace, engines),
        *api.visible("LeaderWorkerSet", namespace, engines),
    ]
    return tuple(sorted(found, key=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"])))


def count(owner: Object | None) -> int:
    """How many replicas are asked of it; 0 of none."""
    return int(owner["spec"].get("replicas", 1)) if owner else 0


def templates(body: Object) -> list[Any]:
    """Its pods' templates: one, or the leader's and the workers'."""
    spec = body["spec"]
    if body["kind"] == "Deployment":
        return [spec["template"]]
    return [spec["leaderWorkerTemplate"]["leaderTemplate"], spec["leaderWorkerTemplate"]["workerTemplate"]]


def template(body: Object) -> Any:
    """The template of the pods that serve."""
    return templates(body)[0]


def serves(owner: Object) -> bool:
    """Whether all of its replicas are of its newest spec, and ready."""
    status, wanted = owner.get("status", {}), count(owner)
    seen = status.get("observedGeneration", 0) >= owner["metadata"].get("generation", 0)
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    return bool(seen and wanted and ready >= wanted and updated >= wanted)
