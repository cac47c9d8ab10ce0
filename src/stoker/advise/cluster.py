"""Is this cluster ready for this fleet? Rules over facts about it: findings, each with a fix. Errors come
first."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stoker.findings import Finding
from stoker.render.manifests.capacity import LABEL, accelerator, node_selector
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.scaling import VALUES

# What installs a kind that is not every cluster's.
INSTALLS = {
    "LeaderWorkerSet": "kubectl apply --server-side -f "
    "https://github.com/kubernetes-sigs/lws/releases/latest/download/manifests.yaml",
    "VolumeSnapshot": "GKE has it; elsewhere the CSI external-snapshotter; or weights: stream",
    "VolumeSnapshotClass": "GKE has it; elsewhere the CSI external-snapshotter; or weights: stream",
    "PodMonitoring": "switch managed Prometheus on, or --set kubernetes.metrics=prometheus (or none)",
    "PodMonitor": "install the Prometheus operator, or --set kubernetes.metrics=none",
    "Rules": "switch managed Prometheus on, or --set kubernetes.metrics=prometheus (or none)",
    "PrometheusRule": "install the Prometheus operator, or --set kubernetes.metrics=none",
    "Gateway": "gcloud container clusters update NAME --gateway-api=standard, or routing: service",
    "HTTPRoute": "gcloud container clusters update NAME --gateway-api=standard, or routing: service",
    "InferencePool": "kubectl apply -f "
    "https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v1.4.0/manifests.yaml",
    "GCPBackendPolicy": "a GKE cluster with the Gateway API, or platform: plain",
    "HealthCheckPolicy": "a GKE cluster with the Gateway API, or platform: plain",
    "ComputeClass": "a GKE cluster of 1.30.3 or newer, or leave kubernetes.capacity out",
}
FUSE = "gcsfuse.csi.storage.gke.io"
OLDEST = (1, 30)  # the release that first runs every field of the pods: preStop's sleep is on from there
ADAPTERS = {
    "stackdriver": "kubectl apply -f "
    "https://raw.githubusercontent.com/GoogleCloudPlatform/k8s-stackdriver/master/custom-metrics-stackdriver-adapter/deploy/production/adapter_new_resource_model.yaml",
    "prometheus": "helm install prometheus-adapter prometheus-community/prometheus-adapter -f DIR/"
    + VALUES
    + " (which `stoker render -O DIR` writes)",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its labels, and GPUs that pods may have."""

    labels: Mapping[str, str]
    gpus: int


@dataclass(frozen=True, slots=True)
class Pool:
    """One node pool: its GPUs a node, how many nodes it may have (None: as many as it has), and their machine
    type."""

    name: str
    accelerator: str
    gpus: int
    most: int | None
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of a limit: `where` names it."""

    where: str
    limit: int
    used: int


@dataclass(frozen=True, slots=True)
class Denied:
    """What this user may not do; wide: to something that stands in no namespace."""

    verb: str
    group: str
    plural: str
    wide: bool = False


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What was asked before `up`. None: nobody could tell.

    release: the API server's, such as (1, 36). missing: kinds without a definition. running: GPUs that the
    fleet holds already. growing: whether nodes are made as pods ask for them (Autopilot, auto-provisioning).
    """

    context: str
    release: tuple[int, int] | None = None
    missing: tuple[str, ...] = ()
    denied: tuple[Denied, ...] = ()
    nodes: tuple[Node, ...] | None = None
    pools: tuple[Pool, ...] | None = None
    growing: bool = False
    quotas: tuple[Quota, ...] = ()
    project: Quota | None = None
    running: int = 0
    adapter: bool | None = None
    classes: tuple[str, ...] | None = field(default=None)
    drivers: tuple[str, ...] | None = None


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
    return [
        Finding(
            f"the cluster {facts.context} runs Kubernetes {have}, and the fleet needs {wanted}",
            "its pods have fields that older releases do not know",
            f"upgrade the cluster to {wanted} or newer",
            rule="kube-release",
        )
    ]


def _kinds(facts: ClusterFacts) -> list[Finding]:
    if not facts.missing:
        return []
    return [
        Finding(
            f"the cluster {facts.context} has no {', '.join(facts.missing)}",
            "the definition is not installed",
            "; ".join(dict.fromkeys(INSTALLS[kind] for kind in facts.missing)),
            rule="kube-missing",
        )
    ]


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
    return [
        Finding(
            f"you may not {'; nor '.join(said)}",
            "the cluster's own answer to a SelfSubjectAccessReview of each",
            f"{', and '.join(roles)}, bound to you",
            rule="kube-forbidden",
        )
    ]


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
    return (
        f'{{apiGroups: ["{denied.group}"], resources: ["{denied.plural}"], verbs: ["get", "list", '
        f'"create", "patch", "delete"]}}'
    )


def _driver(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    if cluster.weights != "gcsfuse" or facts.drivers is None or FUSE in facts.drivers:
        return []
    return [
        Finding(
            f"the cluster {facts.context} cannot mount buckets",
            f"it has no CSI driver {FUSE}",
            "gcloud container clusters update NAME --location PLACE --update-addons "
            "GcsFuseCsiDriver=ENABLED, or weights: stream",
            rule="kube-gcsfuse",
        )
    ]


def _class(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    asked = cluster.ask.compute_class
    if not asked or facts.classes is None or asked in facts.classes:
        return []
    known = ", ".join(facts.classes) or "none"
    return [
        Finding(
            f"there is no ComputeClass {asked}",
            f"there are: {known}",
            "kubernetes.compute_class, or kubernetes.capacity, which makes one",
            rule="kube-compute-class",
        )
    ]


def _namespace_quota(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    wanted = need(cluster)
    out = []
    for quota in facts.quotas:
        left = quota.limit - quota.used + facts.running
        if left < wanted:
            out.append(
                Finding(
                    f"{quota.where} of {cluster.namespace} leaves {max(0, left)} GPUs, and the fleet needs "
                    f"{wanted}",
                    f"{quota.used} of {quota.limit} are used, {facts.running} of them by this fleet",
                    "raise the ResourceQuota, or fewer replicas",
                    rule="kube-quota",
                )
            )
    return out


def _nodes(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    """Whether any node, or any pool that may grow, has the GPU."""
    if facts.nodes is None or _grows(facts, cluster):
        return []
    each, wanted = cluster.gpus_per_node, accelerator(cluster) if cluster.gke else None
    asked = cluster.spec.hardware.machine
    pools = [
        p
        for p in facts.pools or ()
        if p.gpus >= each and p.accelerator == wanted and asked in (None, p.machine or asked)
    ]
    if pools or any(fits(node, cluster) for node in facts.nodes):
        return []
    more = {key: value for key, value in node_selector(cluster).items() if key != LABEL}
    what = f"no node has {each} x {wanted or 'GPU'}" + (f" and the labels {more}" if more else "")
    seen = sorted({f"{node.labels.get(LABEL, 'GPU')} x {node.gpus}" for node in facts.nodes if node.gpus})
    why = f"nodes have: {', '.join(seen) or 'no GPU'}"
    why += (
        "; node pools that grow from zero were not looked at"
        if facts.pools is None
        else "; no node pool has it"
    )
    machine = cluster.plan.hardware.machine
    fix = "another hardware.gpu, or nodes that have it"
    if cluster.gke:
        fix = (
            f"gcloud container node-pools create {wanted} --cluster NAME --location PLACE --machine-type "
            f"{machine.machine if machine else 'TYPE'} "
            f"--accelerator type={wanted},count={each},gpu-driver-version=default --enable-autoscaling "
            f"--min-nodes 0 --max-nodes {cluster.spec.replicas.high * cluster.plan.nodes}; "
            "or kubernetes: {capacity: [on-demand, spot]}"
        )
    return [Finding(what, why, fix, severity="warning", rule="kube-no-gpu-node")]


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
        return [
            Finding(
                f"a rollout will need {more} GPUs, and the nodes that fit have {have}",
                "kubernetes.surge: true starts a replica before it stops one; where no node is added, that "
                "one waits",
                "kubernetes: {surge: false}, or one more node",
                severity="note",
                rule="kube-rollout",
            )
        ]
    if not cluster.ask.surge and cluster.spec.replicas.low == 1 and have >= more:
        return [
            Finding(
                "a rollout will stop the only replica before it starts the next one",
                f"kubernetes.surge is false, though the nodes that fit have {have} GPUs and a replica takes "
                f"{cluster.plan.gpus_per_replica}",
                "kubernetes: {surge: true}, where no other work holds them",
                severity="note",
                rule="kube-rollout",
            )
        ]
    return []


def _project_quota(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    quota, wanted = facts.project, need(cluster)
    if quota is None or quota.limit - quota.used + facts.running >= wanted:
        return []
    return [
        Finding(
            f"the quota {quota.where} leaves {max(0, quota.limit - quota.used)} GPUs, and the fleet needs "
            f"{wanted}",
            f"{quota.used} of {quota.limit} are used",
            "ask for more at https://console.cloud.google.com/iam-admin/quotas, or another GPU or region",
            severity="warning",
            rule="kube-gpu-quota",
        )
    ]


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
    return [
        Finding(
            f"the ranks on {machine} speak over the node's plain network, not over its GPUs' own cards",
            "GPUDirect wants node pools with extra networks, and pods that ask for them, which are not "
            "rendered",
            "https://cloud.google.com/kubernetes-engine/docs/how-to/gpu-bandwidth-gpudirect-tcpx sets the "
            "pools up; or a plan of one node",
            severity="warning",
            rule="kube-fabric",
        )
    ]


def _adapter(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    if not cluster.scaled or facts.adapter is not False:
        return []
    return [
        Finding(
            "the cluster serves no custom metrics, so the HPA will not move the replicas",
            "custom.metrics.k8s.io is not there",
            ADAPTERS.get(cluster.metrics, "install the metrics adapter"),
            severity="warning",
            rule="kube-adapter",
        )
    ]
