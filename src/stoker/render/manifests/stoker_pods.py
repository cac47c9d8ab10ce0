"""Pods of Stoker's own image beside the engine: the gateway, and the web app with console and chat."""

import hashlib
import json
from typing import Any

from stoker.catalog import vllm
from stoker.render.manifests.choices import LEADER, PRE_STOP, Cluster
from stoker.render.manifests.identity import account_with
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.security import container_security, pod_security

SETTINGS = "/etc/stoker"
KEYS = "/etc/stoker-keys"
GATEWAYS = 2  # one may be drained with its node while the other serves
MARGIN = 10
# What the console reads of its own namespace; it may change nothing there.
READS = (
    ("", ["pods", "pods/log", "services", "events", "persistentvolumeclaims"]),
    ("apps", ["deployments", "replicasets", "controllerrevisions"]),
    ("leaderworkerset.x-k8s.io", ["leaderworkersets"]),
    ("autoscaling", ["horizontalpodautoscalers"]),
    ("keda.sh", ["scaledobjects"]),
    ("autoscaling.gke.io", ["autoscalingmetrics"]),
    ("batch", ["jobs"]),
    ("snapshot.storage.k8s.io", ["volumesnapshots"]),
    ("gateway.networking.k8s.io", ["gateways", "httproutes"]),
    ("coordination.k8s.io", ["leases"]),
    ("monitoring.googleapis.com", ["podmonitorings"]),
    ("monitoring.coreos.com", ["podmonitors"]),
)


def gateway(cluster: Cluster) -> tuple[Manifest, ...]:
    """The endpoint of one machine, as pods: the same contract, its own account that may watch pods, its
    settings."""
    if cluster.ask.routing != "gateway":
        return ()
    meta = cluster.meta(f"{cluster.name}-gateway", "gateway")
    text = json.dumps(_settings(cluster), indent=2, sort_keys=True) + "\n"
    return (
        *account_with(meta, [("", ["pods"])], ["get", "list", "watch"]),
        Manifest({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"gateway.json": text}}),
        _deployment(cluster, "gateway", GATEWAYS, text),
        _budget(cluster),
    )


def page(cluster: Cluster) -> tuple[Manifest, ...]:
    """The web app behind a ClusterIP of its own, where Stoker's image is named and the page is not switched
    off.

    Its account may look at the namespace, so that the console shows the fleet, and change nothing.
    """
    if not has_page(cluster):
        return ()
    meta = cluster.meta(f"{cluster.name}-page", "page")
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {
            "type": "ClusterIP",
            "selector": cluster.selector("page"),
            "ports": [{"name": "http", "port": page_port(cluster), "targetPort": "http", "protocol": "TCP"}],
        },
    }
    account = account_with(meta, READS, ["get", "list"])
    return (*account, Manifest(body), _deployment(cluster, "page", 1, ""))


def has_page(cluster: Cluster) -> bool:
    """Whether the fleet has a page of its own in the cluster."""
    return bool(cluster.ask.image and cluster.spec.endpoint.page)


def page_port(cluster: Cluster) -> int:
    """The page's port: as asked, or the one after the endpoint's."""
    return cluster.spec.endpoint.page_port or cluster.port + 1


def _settings(cluster: Cluster) -> dict[str, Any]:
    endpoint = cluster.spec.endpoint
    key = f"{KEYS}/key" if cluster.key_secret else None
    picked = cluster.selector("engine") | (LEADER if cluster.plan.nodes > 1 else {})
    return {
        "host": "0.0.0.0",  # a pod's own address
        "port": cluster.port,
        "queue_timeout": float(endpoint.queue_timeout),
        "max_body": int(endpoint.max_body),
        "cors": list(endpoint.cors),
        "hosts": [],
        "inference_routes": sorted(vllm.nearest_release(cluster.spec.engine.version).inference_routes),
        "key_file": key,
        "engine_key_file": key,
        "model": cluster.spec.model.served_name,
        "namespace": cluster.namespace,
        "selector": ",".join(f"{label}={value}" for label, value in picked.items()),
        "engine_port": cluster.port,
        "linger": PRE_STOP,
        "drain": int(cluster.spec.drain_timeout),
    }


def _budget(cluster: Cluster) -> Manifest:
    body = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": cluster.meta(f"{cluster.name}-gateway", "gateway"),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": cluster.selector("gateway")}},
    }
    return Manifest(body)


def _deployment(cluster: Cluster, role: str, count: int, settings: str) -> Manifest:
    """A change of the settings starts new pods."""
    notes = {"stoker/settings": hashlib.sha256(settings.encode()).hexdigest()[:12]} if settings else {}
    metadata = {"labels": cluster.labels(role)} | ({"annotations": notes} if notes else {})
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": cluster.meta(f"{cluster.name}-{role}", role),
        "spec": {
            "replicas": count,
            "selector": {"matchLabels": cluster.selector(role)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": metadata, "spec": _pod(cluster, role)},
        },
    }
    return Manifest(body)


def _pod(cluster: Cluster, role: str) -> dict[str, Any]:
    """One container with small caches to write into; those of a role stand on different nodes if they can."""
    drain = PRE_STOP + int(cluster.spec.drain_timeout) if role == "gateway" else 0
    apart = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": cluster.selector(role)},
    }
    return {
        "serviceAccountName": f"{cluster.name}-{role}",
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": drain + MARGIN,
        "securityContext": pod_security(volumes=True),
        "topologySpreadConstraints": [apart],
        "containers": [_container(cluster, role)],
        "volumes": _volumes(cluster, role),
    }


def _container(cluster: Cluster, role: str) -> dict[str, Any]:
    port = cluster.port if role == "gateway" else page_port(cluster)
    # the gateway is ready as soon as it listens: requests wait in it for a replica
    alive: dict[str, Any] = (
        {"tcpSocket": {"port": "http"}} if role == "gateway" else {"httpGet": {"path": "/", "port": "http"}}
    )
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]
    if role == "gateway":
        mounts.append({"name": "settings", "mountPath": SETTINGS, "readOnly": True})
    if cluster.key_secret:
        mounts.append({"name": "keys", "mountPath": KEYS, "readOnly": True})
    resources = (
        {"cpu": "500m", "memory": "256Mi"} if role == "gateway" else {"cpu": "250m", "memory": "512Mi"}
    )
    env = {"HOME": "/tmp", "USER": "stoker"} | ({"STOKER_LOG": "json"} if cluster.ask.logs == "json" else {})
    return {
        "name": role,
        "image": cluster.ask.image,
        "imagePullPolicy": "IfNotPresent",
        "command": _command(cluster, role),
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "resources": {"requests": resources, "limits": {"memory": "1Gi"}},
        "startupProbe": {**alive, "periodSeconds": 2, "failureThreshold": 60},
        "readinessProbe": {**alive, "periodSeconds": 5},
        "livenessProbe": {**alive, "periodSeconds": 20, "failureThreshold": 3},
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }


def _command(cluster: Cluster, role: str) -> list[str]:
    if role == "gateway":
        return ["python", "-m", "stoker.targets.kubernetes.gateway", f"{SETTINGS}/gateway.json"]
    words = ["python", "-m", "stoker.ui.console", "--endpoint", f"http://{cluster.name}:{cluster.port}"]
    words += [
        "--model",
        cluster.spec.model.served_name,
        "--host",
        "0.0.0.0",
        "--port",
        str(page_port(cluster)),
        *("--fleet", cluster.name, "--target", "kubernetes", "--namespace", cluster.namespace, "--inside"),
    ]
    return words + (["--key-file", f"{KEYS}/key"] if cluster.key_secret else ["--unlocked"])


def _volumes(cluster: Cluster, role: str) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]
    if role == "gateway":
        out.append({"name": "settings", "configMap": {"name": f"{cluster.name}-gateway"}})
    if secret := cluster.key_secret:
        items = [{"key": secret[1], "path": "key"}]
        out.append(
            {"name": "keys", "secret": {"secretName": secret[0], "items": items, "defaultMode": 0o440}}
        )
    return out
