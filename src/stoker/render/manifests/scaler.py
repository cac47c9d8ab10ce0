"""Who moves the number of replicas: an HPA of Stoker's, or KEDA's ScaledObject, which has one of its own."""

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.hpa import autoscaler
from stoker.render.manifests.keda import scaled_object
from stoker.render.manifests.manifest import Manifest


def scaler(cluster: Cluster) -> tuple[Manifest, ...]:
    """The objects that scale, where `replicas` is a range."""
    if not cluster.scaled:
        return ()
    return (scaled_object(cluster),) if cluster.ask.scaler == "keda" else autoscaler(cluster)
