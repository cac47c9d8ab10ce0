"""Whom the engine's pods run as: an account without rights in the cluster, granted the weights outside of
it."""

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest


def service_account(cluster: Cluster) -> tuple[Manifest, ...]:
    """The fleet's own account, unless an existing one was named."""
    if cluster.ask.service_account:
        return ()
    body = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": cluster.meta(),
        "automountServiceAccountToken": False,
    }
    return (Manifest(body),)
