"""Routing by the Gateway API: a Gateway, a route, the InferencePool, and the endpoint picker that chooses a
replica.

Sources: https://gateway-api-inference-extension.sigs.k8s.io (InferencePool v1, the picker's flags and
rights), https://cloud.google.com/kubernetes-engine/docs/how-to/configure-gateway-resources (GKE's policies),
https://cloud.google.com/kubernetes-engine/docs/how-to/deploy-gke-inference-gateway (GKE's classes for a
pool).
"""

from typing import Any

from stoker.errors import UsageError
from stoker.render.manifests.choices import USER, Cluster
from stoker.render.manifests.manifest import Manifest

GATEWAY = "gateway.networking.k8s.io/v1"
INFERENCE = "inference.networking.k8s.io"
PICKER_PORT, PICKER_HEALTH = 9002, 9003
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
    own = (_gateway(cluster), _route(cluster), _pool(cluster), *_picker(cluster))
    return own + (_policies(cluster) if cluster.gke else ())


def _check_class(cluster: Cluster) -> None:
    name = cluster.ask.gateway.class_name
    if cluster.gke and name.startswith("gke-l7-") and name not in GKE_CLASSES:
        raise UsageError(
            f"the gateway class {name} routes to no InferencePool",
            at=_at(cluster),
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
            at=_at(cluster),
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
            at=_at(cluster),
            why="without that, the network policy would have to let every private address reach the engines",
            fix="kubernetes: {gateway: {proxies: [CIDR]}}, of `gcloud compute networks subnets list "
            "--filter=purpose=REGIONAL_MANAGED_PROXY`; "
            "or network_policy: false",
            rule="gateway-proxies",
        )


def _at(cluster: Cluster) -> str:
    place = cluster.spec.origin.get("kubernetes.gateway") or cluster.spec.origin.get("kubernetes.routing")
    return str(place) if place else ""


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
            "name": f"{cluster.name}-picker",
            "port": {"number": PICKER_PORT},
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


def _picker(cluster: Cluster) -> tuple[Manifest, ...]:
    """The endpoint picker: by queue, KV cache and prefix, as its defaults are."""
    name = f"{cluster.name}-picker"
    meta = cluster.meta(name, "picker")
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [INFERENCE], "resources": ["inferencepools"], "verbs": ["get", "list", "watch"]},
        {
            "apiGroups": ["inference.networking.x-k8s.io"],
            "resources": ["inferenceobjectives", "inferencemodelrewrites"],
            "verbs": ["get", "list", "watch"],
        },
    ]
    rbac = "rbac.authorization.k8s.io"
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": meta,
        "automountServiceAccountToken": False,
    }
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": rules}
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": cluster.namespace}],
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {
            "type": "ClusterIP",
            "selector": cluster.selector("picker"),
            "ports": [
                {
                    "name": "grpc",
                    "port": PICKER_PORT,
                    "targetPort": "grpc",
                    "protocol": "TCP",
                    "appProtocol": "http2",
                }
            ],
        },
    }
    return (
        Manifest(account),
        Manifest(role),
        Manifest(binding),
        Manifest(service),
        _picker_deployment(cluster, meta),
    )


def _picker_deployment(cluster: Cluster, meta: dict[str, Any]) -> Manifest:
    health = {"grpc": {"port": PICKER_HEALTH, "service": "inference-extension"}, "periodSeconds": 10}
    words = ["--pool-name", cluster.name, "--pool-namespace", cluster.namespace]
    words += ["--grpc-port", str(PICKER_PORT), "--grpc-health-port", str(PICKER_HEALTH)]
    words += ["--metrics-endpoint-auth=false"]  # which would need rights over the whole cluster
    container = {
        "name": "picker",
        "image": cluster.ask.gateway.picker_image,
        "imagePullPolicy": "IfNotPresent",
        "args": words,
        "env": [
            {"name": name, "valueFrom": {"fieldRef": {"fieldPath": f"metadata.{field}"}}}
            for name, field in (("NAMESPACE", "namespace"), ("POD_NAME", "name"))
        ],
        "ports": [{"name": "grpc", "containerPort": PICKER_PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        "readinessProbe": health,
        "livenessProbe": {**health, "initialDelaySeconds": 10},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "serviceAccountName": meta["name"],
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 130,  # as long as the streams that it watches
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": cluster.selector("picker")},
            "strategy": {"type": "Recreate"},  # two would choose by half the picture each
            "template": {"metadata": {"labels": cluster.labels("picker")}, "spec": pod},
        },
    }
    return Manifest(body)
