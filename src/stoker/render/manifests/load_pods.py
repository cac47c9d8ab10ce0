"""Jobs that send load to a fleet from inside its cluster: what the pods of all of them have in common."""

from typing import Any

from stoker.render.manifests.choices import USER, Cluster
from stoker.render.manifests.manifest import Manifest

KEPT = 24 * 3600  # seconds that a finished Job, and its log, stay
ROLE = "stoker/role"
_ROOM = "1Gi"  # of /tmp


def job(
    cluster: Cluster,
    name: str,
    component: str,
    container: dict[str, Any],
    volumes: list[dict[str, Any]],
    *,
    deadline: int,
    role: str = "",
    count: int = 1,
    tries: int = 0,
    kept: int = KEPT,
) -> Manifest:
    """A Job of `count` pods, none of which is a replica. deadline: seconds until it is given up; tries: how
    often a container that fails is started again; kept: seconds that it stays when it is done."""
    labels = dict(cluster.ask.labels) | cluster.labels(component) | ({ROLE: role} if role else {})
    notes = {"annotations": dict(cluster.ask.annotations)} if cluster.ask.annotations else {}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": cluster.meta(name, component),
        "spec": {
            "parallelism": count,
            "completions": count,
            "backoffLimit": tries,
            "activeDeadlineSeconds": deadline,
            "ttlSecondsAfterFinished": kept,
            "template": {
                "metadata": {"labels": labels, **notes},
                "spec": _pod(container, volumes, "OnFailure" if tries else "Never"),
            },
        },
    }
    return Manifest(body)


def _pod(container: dict[str, Any], volumes: list[dict[str, Any]], restarts: str) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": restarts,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_contained(container)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": _ROOM}}, *volumes],
    }


def _contained(container: dict[str, Any]) -> dict[str, Any]:
    """The container, which may write to /tmp alone."""
    return {
        **container,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "HOME", "value": "/tmp"}, *container.get("env", ())],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *container.get("volumeMounts", ())],
    }


def key_from(cluster: Cluster, variable: str) -> list[dict[str, Any]]:
    """The endpoint's key as a variable, by a reference to its Secret; nothing where it has none."""
    if cluster.key_secret is None:
        return []
    secret, key = cluster.key_secret
    return [{"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}]
