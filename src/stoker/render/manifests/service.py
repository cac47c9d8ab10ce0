"""The one address of the fleet inside the cluster."""

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest


def service(cluster: Cluster) -> Manifest:
    """ClusterIP, over the gateway, or the pods that answer: every pod of a Deployment, a LeaderWorkerSet's
    leaders."""
    behind = cluster.selector("gateway") if cluster.ask.routing == "gateway" else cluster.serving
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": cluster.meta(),
        "spec": {
            "type": "ClusterIP",
            "selector": behind,
            "ports": [{"name": "http", "port": cluster.port, "targetPort": "http", "protocol": "TCP"}],
        },
    }
    return Manifest(body)
