"""What is looked at before `up`: the cluster through its API, and what only gcloud knows where it is here."""

import json
import re
from typing import Any

from lightkube.utils.quantity import parse_quantity

from stoker.advise.cluster import INSTALLS, fits
from stoker.advise.cluster_facts import ClusterFacts, Node, Pool, Quota
from stoker.errors import UsageError
from stoker.planner.plan import Plan
from stoker.render.manifests import choose, manifests
from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest
from stoker.system.run import run
from stoker.targets.kubernetes import metric_servers, rights, secret
from stoker.targets.kubernetes.client import FORBIDDEN
from stoker.targets.kubernetes.cloud import place_of, project_of
from stoker.targets.kubernetes.inventory import ONCE
from stoker.targets.kubernetes.kinds import RESOURCES
from stoker.targets.kubernetes.target import KubernetesTarget

SECONDS = 20.0
# The project's quota of each GPU: https://cloud.google.com/compute/resource-usage#gpu_quota
QUOTAS = {
    "nvidia-l4": "NVIDIA_L4_GPUS",
    "nvidia-tesla-t4": "NVIDIA_T4_GPUS",
    "nvidia-tesla-v100": "NVIDIA_V100_GPUS",
    "nvidia-tesla-a100": "NVIDIA_A100_GPUS",
    "nvidia-a100-80gb": "NVIDIA_A100_80GB_GPUS",
    "nvidia-h100-80gb": "NVIDIA_H100_GPUS",
}


def facts(target: KubernetesTarget, plan: Plan) -> ClusterFacts:
    """All of it, in a second or so. Raises: EnvironmentFailed, where the cluster does not answer."""
    api, cluster = target.api, choose(plan)
    made = manifests(plan)
    kinds = list(dict.fromkeys(one.kind for one in made))
    denied = rights.denied(api, target.namespace, _written(target, plan, made))
    nodes = _nodes(target, cluster.gpu_resource)
    classes = _list(target, "ComputeClass") if cluster.ask.compute_class else None
    found = ClusterFacts(
        api.context,
        release=_release(api.version()),
        missing=tuple(kind for kind in kinds if kind in INSTALLS and not api.serves(kind)),
        denied=denied,
        nodes=nodes,
        quotas=_quotas(target, cluster.gpu_resource),
        running=_running(target, cluster.gpu_resource),
        adapter=api.group("custom.metrics.k8s.io") if cluster.scaled else None,
        external=api.group("external.metrics.k8s.io") if cluster.scaled else None,
        external_owner=metric_servers.owner(api) if cluster.scaled else "",
        classes=_names(classes),
        drivers=_names(_list(target, "CSIDriver") if cluster.weights == "gcsfuse" else None),
    )
    return found if denied or found.missing or _there(nodes, cluster) else _outside(found, cluster)


def _written(target: KubernetesTarget, plan: Plan, made: tuple[Manifest, ...]) -> list[str]:
    """The kinds that `up` writes, keys and a new namespace included; what is made once and is there is left
    alone."""
    first = ["Namespace"] if not target.namespace_exists() else []
    first += ["Secret"] if secret.needed(plan) else []
    wide = [one for one in made if not RESOURCES[one.kind].namespaced and one.kind in ONCE]
    there = {(one.kind, one.name) for one in wide if _there_already(target, one)}
    return list(dict.fromkeys([*first, *(one.kind for one in made if (one.kind, one.name) not in there)]))


def _there_already(target: KubernetesTarget, one: Manifest) -> bool:
    try:
        return target.api.get(one.kind, None, one.name) is not None
    except UsageError as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        return False


def _release(text: str) -> tuple[int, int] | None:
    """(1, 36) of `v1.36.4-gke.100`; None of what is not written so."""
    match = re.match(r"v?(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _names(found: tuple[dict[str, Any], ...] | None) -> tuple[str, ...] | None:
    return None if found is None else tuple(one["metadata"]["name"] for one in found)


def _list(target: KubernetesTarget, kind: str) -> tuple[dict[str, Any], ...] | None:
    """All of a kind; None where this user may not look."""
    try:
        return target.api.list(kind, target.namespace if RESOURCES[kind].namespaced else None)
    except UsageError as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        return None


def _nodes(target: KubernetesTarget, resource: str) -> tuple[Node, ...] | None:
    found = _list(target, "Node")
    if found is None:
        return None
    return tuple(
        Node(
            one["metadata"].get("labels", {}),
            _count(one.get("status", {}).get("allocatable", {}).get(resource)),
        )
        for one in found
    )


def _quotas(target: KubernetesTarget, resource: str) -> tuple[Quota, ...]:
    """The namespace's quotas on GPUs."""
    out = []
    for one in _list(target, "ResourceQuota") or ():
        status = one.get("status", {})
        for key in (f"requests.{resource}", f"limits.{resource}"):
            limit = (status.get("hard") or one["spec"].get("hard", {})).get(key)
            if limit is not None:
                used = status.get("used", {}).get(key)
                out.append(Quota(f"the quota {one['metadata']['name']}", _count(limit), _count(used)))
    return tuple(out)


def _running(target: KubernetesTarget, resource: str) -> int:
    """GPUs that pods of the fleet hold."""
    pods = target.api.visible("Pod", target.namespace, target.selector)
    return sum(
        _count(container.get("resources", {}).get("limits", {}).get(resource))
        for pod in pods
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        for container in pod["spec"]["containers"]
    )


def _count(text: Any) -> int:
    found = parse_quantity(str(text)) if text is not None else None
    return int(found) if found is not None else 0


def _there(nodes: tuple[Node, ...] | None, cluster: Cluster) -> bool:
    """Whether nodes that are there will do: then nobody outside is asked."""
    return nodes is None or any(fits(node, cluster) for node in nodes)


def _outside(found: ClusterFacts, cluster: Cluster) -> ClusterFacts:
    """Node pools and the project's quota, by gcloud; as it was where gcloud or the cluster's name is not
    known."""
    from dataclasses import replace

    place, project = place_of(found.context), project_of(cluster, found.context)
    if not cluster.gke or place is None or project is None:
        return found
    location, name = place
    where = ("--location", location, "--project", project, "--format", "json")
    described = _json(("gcloud", "container", "clusters", "describe", name, *where))
    if described is None:
        return found
    growing = bool(
        described.get("autopilot", {}).get("enabled")
        or described.get("autoscaling", {}).get("enableNodeAutoprovisioning")
    )
    pools = tuple(pool for one in described.get("nodePools", ()) for pool in _pools(one))
    return replace(found, growing=growing, pools=pools, project=_project_quota(cluster, location, project))


def _pools(pool: dict[str, Any]) -> list[Pool]:
    scaling, config = pool.get("autoscaling", {}), pool.get("config", {})
    most = scaling.get("totalMaxNodeCount") or scaling.get("maxNodeCount") if scaling.get("enabled") else None
    return [
        Pool(
            pool["name"],
            one.get("acceleratorType", ""),
            int(one.get("acceleratorCount", 0)),
            most,
            config.get("machineType", ""),
        )
        for one in config.get("accelerators", ())
    ]


def _project_quota(cluster: Cluster, location: str, project: str) -> Quota | None:
    kind = cluster.plan.hardware.gpu_type
    metric = QUOTAS.get(kind.accelerator or "") if kind else None
    region = location if location.count("-") == 1 else location.rpartition("-")[0]
    if metric is None:
        return None
    described = _json(
        ("gcloud", "compute", "regions", "describe", region, "--project", project, "--format", "json(quotas)")
    )
    for one in (described or {}).get("quotas", ()):
        if one.get("metric") == metric:
            return Quota(f"{metric} in {region}", int(one["limit"]), int(one["usage"]))
    return None


def _json(argv: tuple[str, ...]) -> dict[str, Any] | None:
    ran = run(argv, SECONDS)
    if ran is None or ran.code:
        return None
    try:
        found = json.loads(ran.out)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
