"""The `kubernetes:` part: what only a cluster knows, checked against itself."""

import re
from collections.abc import Mapping
from typing import Any

from stoker.bounds import shown
from stoker.errors import SpecError
from stoker.spec import nodes
from stoker.spec.cluster_models import GatewayFile, KubernetesFile
from stoker.spec.nouns import DiskSpec, GatewaySpec, KedaSpec, KubernetesSpec, MonitoringSpec
from stoker.spec.patterns import LABEL_KEY, LABEL_VALUE

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
TOLERATION = ("key", "operator", "value", "effect", "tolerationSeconds")


def read_kubernetes(parsed: KubernetesFile, tree: nodes.Tree) -> KubernetesSpec:
    """Raises: SpecError, where choices do not go together."""
    weights = "disk" if isinstance(parsed.weights, dict) else parsed.weights
    disk = _disk(parsed)
    if parsed.platform == "plain":
        _check_plain(parsed, weights, disk, tree)
    _check_disk(disk, tree)
    _check_capacity(parsed, tree)
    _check_tolerations(parsed, tree)
    _check_routing(parsed, tree)
    return KubernetesSpec(
        context=parsed.context,
        namespace=parsed.namespace,
        platform=parsed.platform,
        weights=weights,
        disk=disk,
        metrics=parsed.metrics,
        scaler=parsed.scaler,
        keda=KedaSpec(parsed.keda.server, parsed.keda.polling, parsed.keda.cooldown, parsed.keda.fallback),
        monitoring=MonitoringSpec(parsed.monitoring.namespace, parsed.monitoring.labels),
        service_account=parsed.service_account,
        capacity=tuple(parsed.capacity),
        compute_class=parsed.compute_class,
        surge=parsed.surge,
        cpu_limit=parsed.cpu_limit,
        priority_class=parsed.priority_class,
        node_selector=parsed.node_selector,
        tolerations=tuple(parsed.tolerations),
        labels=parsed.labels,
        annotations=parsed.annotations,
        network_policy=parsed.network_policy,
        clients=parsed.clients,
        image=parsed.image,
        logs=parsed.logs,
        routing=parsed.routing,
        project=parsed.project,
        gateway=_gateway(parsed.gateway),
    )


def _disk(parsed: KubernetesFile) -> DiskSpec:
    return DiskSpec(
        parsed.weights["disk"] if isinstance(parsed.weights, dict) else None,
        parsed.disk.type,
        parsed.disk.size,
        tuple(parsed.disk.zones),
        parsed.disk.storage_class,
        parsed.disk.snapshot_class,
        parsed.disk.copy_class,
    )


def _gateway(parsed: GatewayFile) -> GatewaySpec:
    return GatewaySpec(
        parsed.class_name, parsed.host, parsed.tls_secret, tuple(parsed.proxies), parsed.picker_image
    )


def _check_disk(disk: DiskSpec, tree: nodes.Tree) -> None:
    """Raises: SpecError, for a disk in zones that it cannot be read in."""
    if len(disk.zones) > 1 and disk.type == "pd-ssd" and not disk.storage_class:
        raise _error(
            tree,
            "disk",
            f"a pd-ssd stands in one zone, not in {len(disk.zones)}",
            "every zone needs a disk of its own",
            "type: hyperdisk-ml, which is read in several zones, or one zone",
        )


def _check_capacity(parsed: KubernetesFile, tree: nodes.Tree) -> None:
    """Raises: SpecError, for two ladders."""
    if parsed.capacity and parsed.compute_class:
        raise _error(
            tree,
            "capacity",
            "capacity and compute_class stand together",
            "each is the whole ladder",
            "keep one",
        )


def _check_tolerations(parsed: KubernetesFile, tree: nodes.Tree) -> None:
    """Raises: SpecError, for what Kubernetes would refuse."""
    for toleration in parsed.tolerations:
        if unknown := sorted(set(toleration) - set(TOLERATION)):
            raise _error(
                tree,
                "tolerations",
                f"unknown key {unknown[0]!r} in a toleration",
                f"known: {', '.join(TOLERATION)}",
                "leave it out",
            )
        if (wrong := _wrong(toleration)) is not None:
            key, why = wrong
            raise _error(
                tree,
                "tolerations",
                f"{key} of a toleration is {shown(toleration[key])}",
                why,
                "write one such as `{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}`, or leave "
                "it out",
            )


def _check_routing(parsed: KubernetesFile, tree: nodes.Tree) -> None:
    """Raises: SpecError, for a gateway whose image nobody publishes."""
    if parsed.routing == "gateway" and not parsed.image:
        raise _error(
            tree,
            "routing",
            "routing: gateway needs Stoker's own image",
            "no registry at hand publishes it",
            "`make image`, push it to your registry, and image: REGISTRY/stoker:TAG",
        )


def _wrong(toleration: Mapping[str, Any]) -> tuple[str, str] | None:
    """The first field of a toleration that Kubernetes would refuse, and what it takes."""
    takes: dict[str, tuple[bool, str]] = {
        "key": (_is(LABEL_KEY, toleration.get("key")), "expected a taint's key, such as nvidia.com/gpu"),
        "value": (_is(LABEL_VALUE, toleration.get("value")), "expected a taint's value"),
        "operator": (
            toleration.get("operator") in ("Exists", "Equal", "Lt", "Gt", ""),
            "expected Exists or Equal",
        ),
        "effect": (toleration.get("effect") in (*EFFECTS, ""), f"expected one of {', '.join(EFFECTS)}"),
        "tolerationSeconds": (type(toleration.get("tolerationSeconds")) is int, "expected a whole number"),
    }
    return next(((key, why) for key, (fits, why) in takes.items() if key in toleration and not fits), None)


def _is(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _check_plain(parsed: KubernetesFile, weights: str | None, disk: DiskSpec, tree: nodes.Tree) -> None:
    """Raises: SpecError, for what only GKE has."""
    gke = "platform: gke, or another choice"
    wrong = {
        "weights": ("weights: gcsfuse", weights == "gcsfuse"),
        "metrics": ("metrics: stackdriver", parsed.metrics == "stackdriver"),
        "capacity": ("a capacity ladder", bool(parsed.capacity)),
        "compute_class": ("a ComputeClass", bool(parsed.compute_class)),
    }
    for key, (what, asked) in wrong.items():
        if asked:
            raise _error(tree, key, f"a plain cluster has no {what}", "it is a part of GKE", gke)
    if weights == "disk" and not disk.handle and not (disk.storage_class and disk.snapshot_class):
        raise _error(
            tree,
            "weights",
            "weights: disk needs classes of the cluster",
            "Stoker's own are for GKE's disks",
            "disk: {storage_class: NAME, snapshot_class: NAME}, or weights: stream",
        )
    if weights == "disk" and disk.handle:
        raise _error(
            tree, "weights", "an existing disk is named by GKE's handle", "this is a plain cluster", gke
        )


def _error(tree: nodes.Tree, key: str, what: str, why: str, fix: str) -> SpecError:
    place: Any = tree.place(("kubernetes", key))
    return SpecError(what, at=str(place), why=why, fix=fix, rule="spec-kubernetes")
