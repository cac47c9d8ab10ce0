"""Pods of the double, as they are read."""

from tests.support.cluster.store import Object


def requested(pod: Object) -> dict[str, int]:
    """Devices that a pod asks for."""
    found: dict[str, int] = {}
    for container in pod["spec"]["containers"]:
        for name, value in container.get("resources", {}).get("limits", {}).items():
            if "/" in name:
                found[name] = found.get(name, 0) + int(value)
    return found


def claimed(pod: Object) -> set[str]:
    """Names of the claims that a pod mounts."""
    volumes = pod["spec"].get("volumes", ())
    return {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}


def is_running(pod: Object) -> bool:
    """Whether a pod runs on a node."""
    return pod.get("status", {}).get("phase") == "Running" and "nodeName" in pod["spec"]


def is_ready(pod: Object) -> bool:
    """Whether a pod is ready."""
    return any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ())
    )
