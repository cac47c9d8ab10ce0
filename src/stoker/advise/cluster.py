"""Is this cluster ready for this fleet? Rules over facts about it: findings, each with a fix. Errors come
first."""

from stoker.advise.cluster_facts import ClusterFacts, Denied, Node
from stoker.catalog.rules import rule
from stoker.findings import Finding
from stoker.render.manifests.capacity import LABEL, accelerator, node_selector
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.probes import start_budget
from stoker.render.manifests.scaling import IN_FLIGHT, VALUES
from stoker.units import Seconds

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
    "ScaledObject": "helm install keda kedacore/keda -n keda --create-namespace; or scaler: hpa",
    "AutoscalingMetric": (
        "GKE 1.35.1-gke.1396000 or newer, with the performance profile of its HPAs; or scaler: hpa"
    ),
    "ComputeClass": "a GKE cluster of 1.30.3 or newer, or leave kubernetes.capacity out",
}
FUSE = "gcsfuse.csi.storage.gke.io"
EXPOSES = (1, 35)  # the release of GKE that first serves AutoscalingMetric
TO_ZERO = (1, 37)  # the release in which an HPA may have minReplicas 0 without anybody's asking
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
        *_gke_release(facts, cluster),
        *_kinds(facts, cluster),
        *_rights(facts, cluster),
        *_driver(facts, cluster),
        *_class(facts, cluster),
        *_namespace_quota(facts, cluster),
        *_nodes(facts, cluster),
        *_rollout(facts, cluster),
        *_project_quota(facts, cluster),
        *_adapter(facts, cluster),
        *_external(facts, cluster),
        *_zero(facts, cluster),
        *_fabric(cluster),
    )


def fits(node: Node, cluster: Cluster) -> bool:
    """Whether an engine's pod may stand there, as far as its GPUs and labels go."""
    asked = node_selector(cluster)
    return node.gpus >= cluster.gpus_per_node and all(node.labels.get(k) == v for k, v in asked.items())


def need(cluster: Cluster) -> int:
    """GPUs of the least number of replicas, with which `up` begins."""
    least = max(cluster.spec.replicas.low, 1 if cluster.scaled else 0)
    return least * cluster.plan.gpus_per_replica


def _release(facts: ClusterFacts) -> list[Finding]:
    if facts.release is None or facts.release >= OLDEST:
        return []
    have, wanted = (".".join(map(str, one)) for one in (facts.release, OLDEST))
    return [rule("kube-release").finding(context=facts.context, have=have, wanted=wanted)]


def _gke_release(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    """Whether GKE is new enough for its own metrics."""
    if not _exposes(cluster) or facts.release is None or facts.release >= EXPOSES:
        return []
    have, wanted = (".".join(map(str, one)) for one in (facts.release, EXPOSES))
    return [rule("kube-gke-release").finding(context=facts.context, have=have, wanted=wanted)]


def _exposes(cluster: Cluster) -> bool:
    return cluster.scaled and cluster.ask.scaler == "autoscaling-metric"


def _kinds(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    told = {"AutoscalingMetric"} if _gke_release(facts, cluster) else set()
    missing = [one for one in facts.missing if one not in told]
    if not missing:
        return []
    kinds = ", ".join(missing)
    installs = "; ".join(dict.fromkeys(INSTALLS[kind] for kind in missing))
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
    """Whether somebody serves what the HPA asks for."""
    if not cluster.scaled or cluster.spec.scaling is None or cluster.ask.scaler != "hpa":
        return []
    install = ADAPTERS.get(cluster.metrics, "install the metrics adapter")
    metrics = cluster.spec.scaling.metrics
    lost = ["custom"] if facts.adapter is False and set(metrics) - {IN_FLIGHT} else []
    lost += ["external"] if facts.external is False and IN_FLIGHT in metrics else []
    return [rule("kube-adapter").finding(install=install, kind=kind) for kind in lost]


def _external(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    """Whether KEDA has the external metrics of an HPA that asks an adapter."""
    asked = cluster.spec.scaling.metrics if cluster.scaled and cluster.spec.scaling else {}
    if cluster.ask.scaler != "hpa" or IN_FLIGHT not in asked or "keda" not in facts.external_owner:
        return []
    return [rule("kube-external-metrics").finding(owner=facts.external_owner)]


def _zero(facts: ClusterFacts, cluster: Cluster) -> list[Finding]:
    """A range that starts at 0: whether the HPA may, and whether a request lives to see a replica."""
    if not cluster.scaled or cluster.spec.replicas.low:
        return []
    out = []
    if cluster.ask.scaler != "keda" and facts.release is not None and facts.release < TO_ZERO:
        have, wanted = (".".join(map(str, one)) for one in (facts.release, TO_ZERO))
        out.append(rule("kube-zero").finding(context=facts.context, have=have, wanted=wanted))
    held, start = cluster.spec.endpoint.queue_timeout, Seconds(start_budget(cluster))
    if held < start:
        out.append(rule("kube-zero-hold").finding(held=held, start=start))
    return out
