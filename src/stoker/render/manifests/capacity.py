"""Where GPUs come from: node selection, and the ComputeClass that tries one kind of capacity after another.

Source: https://cloud.google.com/kubernetes-engine/docs/reference/crds/computeclass
"""

from typing import Any

from stoker.errors import UsageError
from stoker.render.manifests.choices import SPACE, Cluster
from stoker.render.manifests.manifest import Manifest

LABEL = "cloud.google.com/gke-accelerator"


def compute_class(cluster: Cluster) -> tuple[Manifest, ...]:
    """The ladder of `kubernetes.capacity`, one priority a rung; nothing where none was asked."""
    ladder = cluster.ask.capacity
    if not ladder:
        return ()
    body = {
        "apiVersion": "cloud.google.com/v1",
        "kind": "ComputeClass",
        "metadata": {"name": class_name(cluster), "labels": cluster.labels() | {SPACE: cluster.namespace}},
        "spec": {
            "priorities": [_priority(cluster, rung) for rung in ladder],
            "nodePoolAutoCreation": {"enabled": True},
            "whenUnsatisfiable": "DoNotScaleUp",
        },
    }
    return (Manifest(body),)


def class_name(cluster: Cluster) -> str:
    """Of the fleet's own ComputeClass, which stands in no namespace."""
    return f"{cluster.namespace}-{cluster.name}"


def _priority(cluster: Cluster, rung: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if machine := cluster.plan.hardware.machine:
        out["machineType"] = machine.machine
    out["gpu"] = {"type": accelerator(cluster), "count": cluster.gpus_per_node, "driverVersion": "default"}
    kind, _, name = rung.partition(":")
    if kind == "reservation":
        out["reservations"] = {"affinity": "Specific", "specific": [{"name": name}]}
    elif kind == "flex-start":
        out["flexStart"] = {"enabled": True}
    else:
        out["spot"] = kind == "spot"
    return out


def accelerator(cluster: Cluster) -> str:
    """GKE's label of the GPU. Raises: UsageError, where GKE has none."""
    kind = cluster.plan.hardware.gpu_type
    if kind is None or kind.accelerator is None:
        raise UsageError(
            f"GKE has no {kind or 'GPU'}",
            why="no machine type of its has one",
            fix="platform: plain, with node_selector, or another GPU",
            rule="gke-accelerator",
        )
    machine = cluster.plan.hardware.machine
    if machine is not None and machine.machine.startswith("a3-megagpu"):
        return "nvidia-h100-mega-80gb"
    return kind.accelerator


def node_selector(cluster: Cluster) -> dict[str, str]:
    """Labels of the nodes that an engine's pod may stand on."""
    mine = dict(cluster.ask.node_selector)
    if not cluster.gke or cluster.spec.engine.kind == "simulated":
        return mine
    if cluster.ask.capacity or cluster.ask.compute_class:
        return {"cloud.google.com/compute-class": cluster.ask.compute_class or class_name(cluster)} | mine
    out = {LABEL: accelerator(cluster)}
    if cluster.spec.hardware.machine:
        out["node.kubernetes.io/instance-type"] = cluster.spec.hardware.machine
    return out | mine


def tolerations(cluster: Cluster) -> list[dict[str, Any]]:
    """The GPU's taint, those of capacity that comes and goes, and the user's."""
    out: list[dict[str, Any]] = []
    if cluster.spec.engine.kind != "simulated":
        out.append({"key": cluster.gpu_resource, "operator": "Exists", "effect": "NoSchedule"})
    rungs = {rung.partition(":")[0] for rung in cluster.ask.capacity}
    if "spot" in rungs:
        out.append(
            {"key": "cloud.google.com/gke-spot", "operator": "Equal", "value": "true", "effect": "NoSchedule"}
        )
    if "flex-start" in rungs:
        out.append(
            {
                "key": "cloud.google.com/gke-queued",
                "operator": "Equal",
                "value": "true",
                "effect": "NoSchedule",
            }
        )
    return [*out, *map(dict, cluster.ask.tolerations)]
