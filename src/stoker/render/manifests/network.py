"""Who may speak with the engine's pods, and whom they may speak with.

Sources: https://cloud.google.com/kubernetes-engine/docs/how-to/network-policy (the metadata server's addresses and
ports), https://cloud.google.com/stackdriver/docs/managed-prometheus/setup-managed (the collectors' namespaces).
"""

from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest

COLLECTORS = {"stackdriver": ("gmp-system", "gke-gmp-system"), "prometheus": ("monitoring",), "none": ()}
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")


def network_policies(cluster: Cluster) -> tuple[Manifest, ...]:
    """One for the engine, one for the copy of the weights; none where the file says so."""
    if not cluster.ask.network_policy:
        return ()
    out = [_engine(cluster)]
    if cluster.weights == "disk" and not cluster.disk.handle:
        out.append(_policy(cluster, "copy", [], [_dns(), *_identity(cluster), _storage()]))
    return tuple(out)


def _engine(cluster: Cluster) -> Manifest:
    port = [{"port": "http", "protocol": "TCP"}]
    clients = {"matchLabels": dict(cluster.ask.clients)} if cluster.ask.clients else {}
    arriving: list[dict[str, Any]] = [{"from": [{"podSelector": clients}], "ports": port}]
    if spaces := COLLECTORS[cluster.metrics]:
        wanted = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(spaces)}
        arriving.append({"from": [{"namespaceSelector": {"matchExpressions": [wanted]}}], "ports": port})
    leaving = [_dns()]
    if cluster.plan.nodes > 1:
        ranks = [{"podSelector": {"matchLabels": cluster.selector("engine")}}]
        arriving.append({"from": ranks})
        leaving.append({"to": ranks})
    if cluster.weights in ("gcsfuse", "stream"):
        leaving += _identity(cluster)
    if cluster.weights != "disk" and cluster.spec.engine.kind != "simulated":
        leaving.append(_storage())
    return _policy(cluster, "engine", arriving, leaving)


def _policy(cluster: Cluster, component: str, arriving: list[Any], leaving: list[Any]) -> Manifest:
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": cluster.meta(f"{cluster.name}-{component}"),
        "spec": {
            "podSelector": {"matchLabels": cluster.selector(component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": arriving,
            "egress": leaving,
        },
    }
    return Manifest(body)


def _dns() -> dict[str, Any]:
    return {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}


def _identity(cluster: Cluster) -> list[dict[str, Any]]:
    """GKE's metadata server, which hands out the tokens of workload identity."""
    if not cluster.gke:
        return []
    return [
        {"to": [{"ipBlock": {"cidr": "169.254.169.252/32"}}], "ports": [{"port": 987, "protocol": "TCP"}, {"port": 988, "protocol": "TCP"}]},
        {"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}], "ports": [{"port": 80, "protocol": "TCP"}, {"port": 8080, "protocol": "TCP"}]},
    ]  # fmt: skip


def _storage() -> dict[str, Any]:
    """Object storage and the hub: HTTPS, but to no address of the cluster's own."""
    return {
        "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}}],
        "ports": [{"port": 443, "protocol": "TCP"}],
    }
