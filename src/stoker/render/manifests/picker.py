"""The endpoint picker of an InferencePool: by queue, KV cache and prefix, as its defaults are.

Source: https://gateway-api-inference-extension.sigs.k8s.io (the picker's flags and rights).
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.identity import account_with
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.security import container_security, pod_security

INFERENCE = "inference.networking.k8s.io"
PORT, HEALTH = 9002, 9003
DRAIN = 130  # seconds: as long as the streams that it watches
READS = (
    ("", ["pods"]),
    (INFERENCE, ["inferencepools"]),
    ("inference.networking.x-k8s.io", ["inferenceobjectives", "inferencemodelrewrites"]),
)


def picker(cluster: Cluster) -> tuple[Manifest, ...]:
    """Its account, its Service, its pod."""
    meta = cluster.meta(picker_name(cluster), "picker")
    account = account_with(meta, READS, ["get", "list", "watch"])
    return (*account, _service(cluster, meta), _deployment(cluster, meta))


def picker_name(cluster: Cluster) -> str:
    """By which the pool refers to it."""
    return f"{cluster.name}-picker"


def _service(cluster: Cluster, meta: dict[str, Any]) -> Manifest:
    port = {
        "name": "grpc",
        "port": PORT,
        "targetPort": "grpc",
        "protocol": "TCP",
        "appProtocol": "http2",
    }
    spec = {"type": "ClusterIP", "selector": cluster.selector("picker"), "ports": [port]}
    return Manifest({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})


def _deployment(cluster: Cluster, meta: dict[str, Any]) -> Manifest:
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": cluster.selector("picker")},
            "strategy": {"type": "Recreate"},  # two would choose by half the picture each
            "template": {"metadata": {"labels": cluster.labels("picker")}, "spec": _pod(cluster)},
        },
    }
    return Manifest(body)


def _pod(cluster: Cluster) -> dict[str, Any]:
    return {
        "serviceAccountName": picker_name(cluster),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": DRAIN,
        "securityContext": pod_security(),
        "containers": [_container(cluster)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }


def _container(cluster: Cluster) -> dict[str, Any]:
    health = {"grpc": {"port": HEALTH, "service": "inference-extension"}, "periodSeconds": 10}
    fields = (("NAMESPACE", "namespace"), ("POD_NAME", "name"))
    return {
        "name": "picker",
        "image": cluster.ask.gateway.picker_image,
        "imagePullPolicy": "IfNotPresent",
        "args": _args(cluster),
        "env": [
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.{field}"}}}
            for name, field in fields
        ],
        "ports": [{"name": "grpc", "containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "readinessProbe": health,
        "livenessProbe": {**health, "initialDelaySeconds": 10},
        "securityContext": container_security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _args(cluster: Cluster) -> list[str]:
    return [
        *("--pool-name", cluster.name, "--pool-namespace", cluster.namespace),
        *("--grpc-port", str(PORT), "--grpc-health-port", str(HEALTH)),
        "--metrics-endpoint-auth=false",  # which would need rights over the whole cluster
    ]
