"""Is this cluster ready for this fleet? Rules over facts about it: findings, each with a fix. Errors come
first."""

from stoker.advise.cluster_facts import ClusterFacts, Denied, Node
from stoker.catalog.rules import rule
from stoker.findings import Finding
from stoker.render.manifests.capacity import LABEL, accelerator, node_selector
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.scaling import VALUES

_SNAPSHOTTER = "GKE has it; elsewhere the CSI external-snapshotter; or weights: stream"
_PROMETHEUS = "switch managed Prometheus on, or --set kubernetes.metrics=prometheus (or none)"
_OPERATOR = "install the Prometheus operator, or --set kubernetes.metrics=none"
_GATEWAYS = "gcloud container clusters update NAME --gateway-api=standard, or routing: service"
_POLICIES = "a GKE cluster with the Gateway API, or platform: plain"
# What installs a kind that is not every cluster's.
INSTALLS = {
    "LeaderWorkerSet": (
        "kubectl apply --server-side -f "
        "https://github.com/kubernetes-sigs/lws/releases/latest/download/manifests.yaml"
    ),
    "VolumeSnapshot": _SNAPSHOTTER,
    "VolumeSnapshotClass": _SNAPSHOTTER,
    "PodMonitoring": _PROMETHEUS,
    "PodMonitor": _OPERATOR,
    "Rules": _PROMETHEUS,
    "PrometheusRule": _OPERATOR,
    "Gateway": _GATEWAYS,
    "HTTPRoute": _GATEWAYS,
    "InferencePool": (
        "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/"
        "releases/download/v1.4.0/manifests.yaml"
    ),
    "GCPBackendPolicy": _POLICIES,
    "HealthCheckPolicy": _POLICIES,
    "ComputeClass": "a GKE cluster of 1.30.3 or newer, or leave kubernetes.capacity out",
}
FUSE = "gcsfuse.csi.storage.gke.io"
OLDEST = (1, 30)  # the release that first runs every field of the pods: preStop's sleep is on from there
ADAPTERS = {
    "stackdriver": (
        "kubectl apply -f https://raw.githubusercontent.com/GoogleCloudPlatform/k8s-stackdriver/master/"
        "custom-metrics-stackdriver-adapter/deploy/production/adapter_new_resource_model.yaml"
    ),
    "prometheus": (
        "helm install prometheus-adapter prometheus-community/prometheus-adapter "
        f"-f DIR/{VALUES} (which `stoker render -O DIR` writes)"
    ),
}


def check_cluster(facts: ClusterFacts, cluster: Cluster) -> tuple[Finding, ...]:
    """Everything that would keep the fleet from coming up, or from scaling."""
    return (
        *_release(facts),
        *_kinds(facts),
        *_rights(facts, cluster),
        *_driver(facts, cluster),
        *_class(facts, cluster),
        *_namespace_quota(facts, cluster),
        *_nodes(facts, cluster),
        *_rollout(facts, cluster),
        *_project_quota(facts, cluster),
        *_adapter(facts, cluster),
        *_fabric(cluster),
    )


def fits(node: Node, cluster: Cluster) -> bool:
    """Whether an engine's pod may stand there, as far as its GPUs and labels go."""
    asked = node_selector(cluster)
    return node.gpus >= cluster.gpus_per_node and all(node.labels.get(k) == v for k, v in asked.items())


def need(cluster: Cluster) -> int:
    """GPUs of the least number of replicas."""
    return cluster.spec.replicas.low * cluster.plan.gpus_per_replica


def _release(facts: ClusterFacts) -> list[Finding]:
    if facts.release is None or facts.release >= OLDEST:
        return []
    have, wanted = (".".join(map(str, one)) for one in (facts.release, OLDEST))
    return [rule("kube-release").finding(context=facts.context, have=have, wanted=wanted)]


def _kinds(facts: ClusterFacts) -> list[Finding]:
    if not facts.missing:
        return []
    kinds = ", ".join(facts.missing)
    installs = "; ".join(dict.fromkeys(INSTALLS[kind] for kind in facts.missing))
    return [rule("kube-missing").finding(context=facts.context, kinds=kinds, installs=installs)]


def _rights(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    if not facts.denied:
        return []
    where: dict[str, list[str]] = {}
    roles = []
    for wide, place, role in (
        (False, f"in {cluster.namespace}", "Role"),
        (True, "of the cluster", "ClusterRole"),
    ):
        these = [one for one in facts.denied if one.wide == wide]
        for verbs, plurals in _verbs(these).items():
            where.setdefault(verbs, []).append(f"{', '.join(plurals)} {place}")
        if rules := dict.fromkeys(map(_rule, these)):
            roles.append(f"a {role} with {', '.join(rules)}")
    said = [f"{verbs} {' and '.join(kinds)}" for verbs, kinds in where.items()]
    return [rule("kube-forbidden").finding(done="; nor ".join(said), roles=", and ".join(roles))]


def _verbs(denied: list[Denied]) -> dict[str, list[str]]:
    """The kinds of which the same may not be done, by that."""
    verbs: dict[str, list[str]] = {}
    for one in denied:
        verbs.setdefault(one.plural, []).append(one.verb)
    kinds: dict[str, list[str]] = {}
    for plural, found in verbs.items():
        kinds.setdefault(" or ".join(found), []).append(plural)
    return kinds


def _rule(denied: Denied) -> str:
    verbs = '["get", "list", "create", "patch", "delete"]'
    return f'{{apiGroups: ["{denied.group}"], resources: ["{denied.plural}"], verbs: {verbs}}}'


def _driver(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    if cluster.weights != "gcsfuse" or facts.drivers is None or FUSE in facts.drivers:
        return []
    return [rule("kube-gcsfuse").finding(context=facts.context, driver=FUSE)]


def _class(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    asked = cluster.ask.compute_class
    if not asked or facts.classes is None or asked in facts.classes:
        return []
    known = ", ".join(facts.classes) or "none"
    return [rule("kube-compute-class").finding(asked=asked, known=known)]


def _namespace_quota(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    wanted = need(cluster)
    out = []
    for quota in facts.quotas:
        left = quota.limit - quota.used + facts.running
        if left < wanted:
            found = rule("kube-quota").finding(
                quota=quota.where,
                namespace=cluster.namespace,
                left=max(0, left),
                wanted=wanted,
                used=quota.used,
                limit=quota.limit,
                running=facts.running,
            )
            out.append(found)
    return out


def _nodes(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    """Whether any node, or any pool that may grow, has the GPU."""
    if facts.nodes is None or _grows(facts, cluster):
        return []
    each, wanted = cluster.gpus_per_node, accelerator(cluster) if cluster.gke else None
    asked = cluster.spec.hardware.machine
    suits = [p for p in facts.pools or () if p.gpus >= each and p.accelerator == wanted]
    pools = [p for p in suits if asked in (None, p.machine or asked)]
    if pools or any(fits(node, cluster) for node in facts.nodes):
        return []
    more = {key: value for key, value in node_selector(cluster).items() if key != LABEL}
    what = f"{each} x {wanted or 'GPU'}" + (f" and the labels {more}" if more else "")
    seen = sorted({f"{node.labels.get(LABEL, 'GPU')} x {node.gpus}" for node in facts.nodes if node.gpus})
    why = f"nodes have: {', '.join(seen) or 'no GPU'}"
    why += (
        "; node pools that grow from zero were not looked at"
        if facts.pools is None
        else "; no node pool has it"
    )
    machine = cluster.plan.hardware.machine
    found = rule("kube-no-gpu-node", "gke" if cluster.gke else "").finding(
        asked=what,
        seen=why,
        gpu=wanted,
        count=each,
        machine=machine.machine if machine else "TYPE",
        most=cluster.spec.replicas.high * cluster.plan.nodes,
    )
    return [found]


def _grows(facts: ClusterFacts, cluster: Cluster) -> bool:
    """Whether nodes are made as its pods ask for them, or none are needed."""
    made = cluster.ask.capacity or cluster.ask.compute_class or facts.growing
    return bool(made) or cluster.spec.engine.kind == "simulated"


def _rollout(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    """Whether the rollout that was chosen suits the GPUs that are there."""
    have = sum(node.gpus for node in facts.nodes or () if fits(node, cluster))
    if not have or _grows(facts, cluster):
        return []
    more = need(cluster) + cluster.plan.gpus_per_replica
    if cluster.ask.surge and have < more:
        return [rule("kube-rollout", "surge").finding(more=more, have=have)]
    if not cluster.ask.surge and cluster.spec.replicas.low == 1 and have >= more:
        return [rule("kube-rollout", "gap").finding(have=have, each=cluster.plan.gpus_per_replica)]
    return []


def _project_quota(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    quota, wanted = facts.project, need(cluster)
    if quota is None or quota.limit - quota.used + facts.running >= wanted:
        return []
    found = rule("kube-gpu-quota").finding(
        quota=quota.where,
        left=max(0, quota.limit - quota.used),
        wanted=wanted,
        used=quota.used,
        limit=quota.limit,
    )
    return [found]


def _fabric(cluster: Cluster) -> list[Finding]:
    """Machines whose GPUs have network cards of their own, which a pod has only where the cluster was set up
    for it."""
    machine = cluster.plan.hardware.machine
    if (
        not cluster.gke
        or cluster.plan.nodes < 2
        or machine is None
        or machine.machine[:2] not in ("a3", "a4")
    ):
        return []
    return [rule("kube-fabric").finding(machine=machine)]


def _adapter(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    if not cluster.scaled or facts.adapter is not False:
        return []
    install = ADAPTERS.get(cluster.metrics, "install the metrics adapter")
    return [rule("kube-adapter").finding(install=install)]
