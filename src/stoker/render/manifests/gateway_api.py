"""Routing by the Gateway API: a Gateway, a route, the InferencePool; `picker` chooses a replica of it.

Sources: https://gateway-api-inference-extension.sigs.k8s.io (InferencePool v1),
https://cloud.google.com/kubernetes-engine/docs/how-to/configure-gateway-resources (GKE's policies),
https://cloud.google.com/kubernetes-engine/docs/how-to/deploy-gke-inference-gateway (GKE's classes for a
pool).
"""

from typing import Any

from stoker.errors import UsageError
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.render.manifests.picker import INFERENCE, PORT, picker, picker_name
from stoker.spec.places import any_of

GATEWAY = "gateway.networking.k8s.io/v1"
FIELD = any_of("kubernetes.gateway", "kubernetes.routing")
LONGEST = 3600  # seconds that one answer may take: load balancers cut at 30 by themselves
GKE_CLASSES = ("gke-l7-rilb", "gke-l7-regional-external-managed")  # those that know an InferencePool


def gateway_api(cluster: Cluster) -> tuple[Manifest, ...]:
    """All of it, where it was asked for. Raises: UsageError, for a public address without a key and a
    certificate."""
    if cluster.ask.routing != "gateway-api":
        return ()
    _check_class(cluster)
    _check_public(cluster)
    _check_proxies(cluster)
    own = (_gateway(cluster), _route(cluster), _pool(cluster), *picker(cluster))
    return own + (_policies(cluster) if cluster.gke else ())


def _check_class(cluster: Cluster) -> None:
    name = cluster.ask.gateway.class_name
    if cluster.gke and name.startswith("gke-l7-") and name not in GKE_CLASSES:
        raise UsageError(
            f"the gateway class {name} routes to no InferencePool",
            at=FIELD,
            why=f"of GKE's own, {' and '.join(GKE_CLASSES)} do",
            fix=f"class_name: {GKE_CLASSES[0 if cluster.ask.gateway.internal else 1]}",
            rule="gateway-class",
        )


def _check_public(cluster: Cluster) -> None:
    if cluster.ask.gateway.internal:
        return
    lacking = []
    if cluster.key_secret is None:
        lacking.append("endpoint: {api_key: 'secret:NAME/KEY'}")
    if cluster.ask.gateway.tls_secret is None:
        lacking.append("kubernetes: {gateway: {tls_secret: NAME}}")
    if lacking:
        raise UsageError(
            f"the gateway class {cluster.ask.gateway.class_name} may be public, and the endpoint is open",
            at=FIELD,
            why="anyone who reaches it could use the GPUs, or read keys on the way",
            fix=f"{' and '.join(lacking)}, or class_name: gke-l7-rilb",
            rule="gateway-open",
        )


def _check_proxies(cluster: Cluster) -> None:
    """The network policy lets in the load balancer's proxies, and on GKE these are known by their subnet
    alone."""
    if cluster.gke and cluster.ask.network_policy and not cluster.ask.gateway.proxies:
        raise UsageError(
            "the file does not say from where the load balancer's proxies come",
            at=FIELD,
            why="without that, the network policy would have to let every private address reach the engines",
            fix="kubernetes: {gateway: {proxies: [CIDR]}}, of `gcloud compute networks subnets list "
            "--filter=purpose=REGIONAL_MANAGED_PROXY`; "
            "or network_policy: false",
            rule="gateway-proxies",
        )


def _gateway(cluster: Cluster) -> Manifest:
    ask = cluster.ask.gateway
    listener: dict[str, Any] = {"name": "http", "protocol": "HTTP", "port": 80}
    if ask.tls_secret:
        tls = {"mode": "Terminate", "certificateRefs": [{"name": ask.tls_secret}]}
        listener = {"name": "https", "protocol": "HTTPS", "port": 443, "tls": tls}
    if ask.host:
        listener["hostname"] = ask.host
    listener["allowedRoutes"] = {"namespaces": {"from": "Same"}}
    spec = {"gatewayClassName": ask.class_name, "listeners": [listener]}
    return Manifest({"apiVersion": GATEWAY, "kind": "Gateway", "metadata": cluster.meta(), "spec": spec})


def _route(cluster: Cluster) -> Manifest:
    """Inference alone: what else the engine answers (metrics, administration) is not let out."""
    match = {"path": {"type": "PathPrefix", "value": "/v1"}}
    back = {"group": INFERENCE, "kind": "InferencePool", "name": cluster.name}
    spec: dict[str, Any] = {"parentRefs": [{"name": cluster.name}]}
    if cluster.ask.gateway.host:
        spec["hostnames"] = [cluster.ask.gateway.host]
    rule: dict[str, Any] = {"matches": [match], "backendRefs": [back]}
    if not cluster.gke:  # GKE takes the deadline from GCPBackendPolicy
        rule["timeouts"] = {"request": f"{LONGEST}s"}
    spec["rules"] = [rule]
    return Manifest({"apiVersion": GATEWAY, "kind": "HTTPRoute", "metadata": cluster.meta(), "spec": spec})


def _pool(cluster: Cluster) -> Manifest:
    spec = {
        "selector": {"matchLabels": cluster.serving},
        "targetPorts": [{"number": cluster.port}],
        "endpointPickerRef": {
            "name": picker_name(cluster),
            "port": {"number": PORT},
            "failureMode": "FailOpen",  # a replica chosen blindly is better than none
        },
    }
    return Manifest(
        {"apiVersion": f"{INFERENCE}/v1", "kind": "InferencePool", "metadata": cluster.meta(), "spec": spec}
    )


def _policies(cluster: Cluster) -> tuple[Manifest, ...]:
    target = {"group": INFERENCE, "kind": "InferencePool", "name": cluster.name}
    drain = min(3600, int(cluster.spec.drain_timeout))
    backend = {
        "default": {
            "timeoutSec": LONGEST,
            "connectionDraining": {"drainingTimeoutSec": drain},
            "logging": {"enabled": True},
        },
        "targetRef": target,
    }
    check = {"requestPath": "/health", "portSpecification": "USE_FIXED_PORT", "port": cluster.port}
    probe = {"type": "HTTP", "httpHealthCheck": check}
    health = {"default": {"checkIntervalSec": 5, "timeoutSec": 5, "config": probe}, "targetRef": target}
    return tuple(
        Manifest(
            {"apiVersion": "networking.gke.io/v1", "kind": kind, "metadata": cluster.meta(), "spec": spec}
        )
        for kind, spec in (("GCPBackendPolicy", backend), ("HealthCheckPolicy", health))
    )
