"""Who may speak with the engine's pods, and whom they may speak with.

Sources: https://cloud.google.com/kubernetes-engine/docs/how-to/network-policy (the metadata server's
addresses and ports), https://cloud.google.com/stackdriver/docs/managed-prometheus/setup-managed (the
collectors' namespaces).
"""

from typing import Any

from stoker.render.command import traces_ports
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.stoker_pods import has_page

# The way of the API server's proxy to pods, where the cluster has these: `stoker status`, `ui` and `why` read
# by it.
TUNNEL = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "konnectivity-agent"}},
}
MANAGED = ("gmp-system", "gke-gmp-system")
AGENTS = "kube-system"  # where GKE's metrics agents stand, which read for an AutoscalingMetric
# Google's health checks: https://cloud.google.com/load-balancing/docs/health-check-concepts#ip-ranges
HEALTH_CHECKS = ("35.191.0.0/16", "130.211.0.0/22")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")


def network_policies(cluster: Cluster) -> tuple[Manifest, ...]:
    """One for the engine, one for each thing beside it; none where the file says so."""
    if not cluster.ask.network_policy:
        return ()
    out = [_engine(cluster)]
    if cluster.weights == "disk" and not cluster.disk.handle:
        out.append(_policy(cluster, "copy", [], [_dns(), *_identity(cluster), _storage()]))
    engines = {"to": [{"podSelector": {"matchLabels": cluster.serving}}], "ports": _http()}
    clients = [{"from": _clients(cluster), "ports": _http()}]
    if cluster.ask.routing == "gateway":
        asking = [{"from": _askers(cluster), "ports": _http()}]
        out.append(_policy(cluster, "gateway", asking + _scrapers(cluster), [_dns(), engines, _api_server()]))
    if cluster.ask.routing == "gateway-api":
        calls = [{"from": _proxies(cluster), "ports": [{"port": "grpc", "protocol": "TCP"}]}]
        out.append(_policy(cluster, "picker", calls, [_dns(), engines, _api_server()]))
    if has_page(cluster):
        behind = cluster.selector("gateway") if cluster.ask.routing == "gateway" else cluster.serving
        endpoint = {"to": [{"podSelector": {"matchLabels": behind}}], "ports": _http()}
        seen = [endpoint] if behind == cluster.serving else [endpoint, engines]
        out.append(_policy(cluster, "page", clients, [_dns(), *seen, _api_server()]))
    return tuple(out)


def sender_policies(
    cluster: Cluster, component: str, among: int | None = None, name: str = ""
) -> tuple[Manifest, ...]:
    """For pods that send load: their own, and one that lets them in to what answers behind the Service,
    whoever else may come. among: the port at which they speak with each other."""
    name = name or f"{cluster.name}-{component}"
    if not cluster.ask.network_policy:
        return ()
    own = [{"podSelector": {"matchLabels": cluster.selector(component)}}]
    between = [{"port": among, "protocol": "TCP"}]
    behind = cluster.selector("gateway") if cluster.ask.routing == "gateway" else cluster.serving
    leaving = [_dns(), {"to": [{"podSelector": {"matchLabels": behind}}], "ports": _http()}]
    arriving = [{"from": own, "ports": between}] if among else []
    passage = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": cluster.meta(f"{name}-in", component),
        "spec": {
            "podSelector": {"matchLabels": behind},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": own, "ports": _http()}],
        },
    }
    leaving += [{"to": own, "ports": between}] if among else []
    policy = _policy(cluster, component, arriving, leaving)
    policy.body["metadata"] = cluster.meta(name, component)
    return policy, Manifest(passage)


def _engine(cluster: Cluster) -> Manifest:
    arriving: list[dict[str, Any]] = [
        {"from": [*_callers(cluster), TUNNEL], "ports": _http()},
        *_scrapers(cluster),
    ]
    leaving = [_dns()]
    if cluster.plan.nodes > 1:
        ranks = [{"podSelector": {"matchLabels": cluster.selector("engine")}}]
        arriving.append({"from": ranks})
        leaving.append({"to": ranks})
    if cluster.weights in ("gcsfuse", "stream"):
        leaving += _identity(cluster)
    if cluster.weights != "disk" and cluster.spec.engine.kind != "simulated":
        leaving.append(_storage())
    if ports := traces_ports(cluster.plan):
        leaving.append({"ports": [{"port": port, "protocol": "TCP"} for port in ports]})
    return _policy(cluster, "engine", arriving, leaving)


def _http() -> list[dict[str, Any]]:
    return [{"port": "http", "protocol": "TCP"}]


def _clients(cluster: Cluster) -> list[dict[str, Any]]:
    """The pods that may use the endpoint."""
    return [{"podSelector": {"matchLabels": dict(cluster.ask.clients)} if cluster.ask.clients else {}}]


def _callers(cluster: Cluster) -> list[dict[str, Any]]:
    """Who speaks with the engine itself: the gateway, or the load balancer and its picker, or the clients."""
    own = _page(cluster)
    match cluster.ask.routing:
        case "gateway":
            return [{"podSelector": {"matchLabels": cluster.selector("gateway")}}, *own]
        case "gateway-api":
            picker = {"podSelector": {"matchLabels": cluster.selector("picker")}}
            clients = _clients(cluster) if cluster.ask.clients else []
            return [picker, *_proxies(cluster), *clients, *own]
        case _:
            return _askers(cluster)


def _askers(cluster: Cluster) -> list[dict[str, Any]]:
    """Who speaks with the endpoint where it is a pod: its clients, and the page where they are not
    everybody."""
    return [*_clients(cluster), *(_page(cluster) if cluster.ask.clients else [])]


def _page(cluster: Cluster) -> list[dict[str, Any]]:
    return [{"podSelector": {"matchLabels": cluster.selector("page")}}] if has_page(cluster) else []


def _proxies(cluster: Cluster) -> list[dict[str, Any]]:
    """The load balancer's proxies: on GKE by their networks and the hosts that check health, elsewhere pods
    as well.

    Source: https://gateway-api.sigs.k8s.io/geps/gep-1762 (the label of the pods that a Gateway is made into).
    """
    own = list(cluster.ask.gateway.proxies)
    blocks: list[dict[str, Any]] = [
        {"ipBlock": {"cidr": cidr}} for cidr in own + (list(HEALTH_CHECKS) if cluster.gke else [])
    ]
    pods = {"podSelector": {"matchLabels": {"gateway.networking.k8s.io/gateway-name": cluster.name}}}
    return blocks if cluster.gke else [*blocks, pods]


def _scrapers(cluster: Cluster) -> list[dict[str, Any]]:
    """Monitoring, in namespaces of its own."""
    if cluster.metrics == "none":
        return []
    spaces = MANAGED if cluster.metrics == "stackdriver" else (cluster.ask.monitoring.namespace,)
    if cluster.ask.scaler == "autoscaling-metric" and cluster.scaled:
        spaces = (*spaces, AGENTS)
    wanted = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(spaces)}
    return [{"from": [{"namespaceSelector": {"matchExpressions": [wanted]}}], "ports": _http()}]


def _api_server() -> dict[str, Any]:
    """The API server: its address is the cluster's own secret, its ports are these two."""
    return {"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}


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
        {
            "to": [{"ipBlock": {"cidr": "169.254.169.252/32"}}],
            "ports": [{"port": 987, "protocol": "TCP"}, {"port": 988, "protocol": "TCP"}],
        },
        {
            "to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}],
            "ports": [{"port": 80, "protocol": "TCP"}, {"port": 8080, "protocol": "TCP"}],
        },
    ]


def _storage() -> dict[str, Any]:
    """Object storage and the hub: HTTPS, but to no address of the cluster's own."""
    return {
        "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE)}}],
        "ports": [{"port": 443, "protocol": "TCP"}],
    }
