"""How pods get the weights: a read-only-many disk, a mounted bucket, a stream, or a cache of the hub.

Sources: https://cloud.google.com/kubernetes-engine/docs/how-to/cloud-storage-fuse-csi-driver-perf and
https://cloud.google.com/kubernetes-engine/docs/how-to/cloud-storage-fuse-csi-driver-ephemeral.
"""

from math import ceil
from typing import Any

from stoker.render.manifests.choices import MOUNT, USER, Cluster
from stoker.render.manifests.disk import (
    GIB,
    check_machine,
    check_readers,
    claim,
    copied,
    existing,
    size,
    type_class,
)
from stoker.render.manifests.manifest import Manifest
from stoker.spec.nouns import Bucket

CACHE = "hyperdisk-balanced"  # of a hub's cache where a machine attaches no other


def weights_objects(cluster: Cluster) -> tuple[Manifest, ...]:
    """What has to be there before the engine's pods. Raises: UsageError, for more readers than the disk
    takes."""
    match cluster.weights:
        case "disk":
            check_readers(cluster)
            if cluster.disk.handle:
                return existing(cluster)
            check_machine(cluster)
            return copied(cluster)
        case "hub" if _caches(cluster):
            classes = (
                () if cluster.disk.storage_class or not _hyperdisk_only(cluster) else (type_class(CACHE),)
            )
            if not _one_cache(cluster):
                return classes
            name = f"{cluster.weights_name}-cache"
            return (*classes, claim(cluster, name, ["ReadWriteOnce"], _cache_class(cluster)))
        case _:
            return ()


def engine_volumes(cluster: Cluster) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The volume of an engine's pod that holds the weights, with its mount."""
    mount: dict[str, Any] = {"name": "models", "mountPath": MOUNT}
    match cluster.weights:
        case "disk":
            claim = {"claimName": cluster.weights_name, "readOnly": True}
            return [({"name": "models", "persistentVolumeClaim": claim}, mount | {"readOnly": True})]
        case "gcsfuse":
            return [({"name": "models", "csi": _fuse(cluster)}, mount | {"readOnly": True})]
        case "hub" if _caches(cluster):
            return [(_cache(cluster), mount)]
        case _:
            return []


def pod_annotations(cluster: Cluster) -> dict[str, str]:
    """What the bucket's sidecar wants: to be there, and memory for its caches."""
    if cluster.weights != "gcsfuse":
        return {}
    out = {
        "gke-gcsfuse/volumes": "true",
        "gke-gcsfuse/ephemeral-storage-limit": "0",
        "gke-gcsfuse/cpu-limit": "0",
    }
    if room := _fuse_cache(cluster):
        return out | {
            "gke-gcsfuse/memory-request": f"{room + 2}Gi",
            "gke-gcsfuse/memory-limit": f"{room + 8}Gi",
        }
    return out | {"gke-gcsfuse/memory-limit": "8Gi"}


def pod_volumes(cluster: Cluster) -> list[dict[str, Any]]:
    """Volumes of an engine's pod that no container of its mounts: the bucket's sidecar has its cache in
    memory."""
    room = _fuse_cache(cluster)
    if not room:
        return []
    return [{"name": "gke-gcsfuse-cache", "emptyDir": {"medium": "Memory", "sizeLimit": f"{room}Gi"}}]


def _fuse(cluster: Cluster) -> dict[str, Any]:
    """The preset for serving: files are listed once, and fetched in parallel where there is memory for
    that."""
    assert isinstance(cluster.source, Bucket)
    options = [
        "implicit-dirs",
        f"uid={USER}",
        f"gid={USER}",
        "file-mode=0444",
        "dir-mode=0555",
        "metadata-cache:ttl-secs:-1",
        "metadata-cache:stat-cache-max-size-mb:-1",
        "metadata-cache:type-cache-max-size-mb:-1",
        "file-system:kernel-list-cache-ttl-secs:-1",
        "read_ahead_kb=1024",
    ]
    if _fuse_cache(cluster):
        options += [
            "file-cache:max-size-mb:-1",
            "file-cache:cache-file-for-range-read:true",
            "file-cache:enable-parallel-downloads:true",
        ]
    if prefix := cluster.source.prefix.strip("/"):
        options.insert(1, f"only-dir={prefix}")
    return {
        "driver": "gcsfuse.csi.storage.gke.io",
        "readOnly": True,
        "volumeAttributes": {
            "bucketName": cluster.source.bucket,
            "mountOptions": ",".join(options),
            "gcsfuseMetadataPrefetchOnMount": "true",
        },
    }


def _fuse_cache(cluster: Cluster) -> int:
    """GiB of memory in which the sidecar fetches files in parallel: where the machine has it twice; else
    0."""
    machine = cluster.plan.hardware.machine
    if cluster.weights != "gcsfuse" or machine is None:
        return 0
    room = ceil(1.1 * cluster.weight_bytes / GIB)
    mine = 0.8 * machine.memory / GIB * cluster.gpus_per_node / machine.gpus
    return room if 2 * room + 24 <= mine else 0


def _caches(cluster: Cluster) -> bool:
    return cluster.spec.engine.kind != "simulated"


def _one_cache(cluster: Cluster) -> bool:
    """Whether one claim does for the cache: never more than a single pod holds it, a rollout's included."""
    return cluster.spec.replicas.high * cluster.plan.nodes == 1 and not cluster.ask.surge


def _hyperdisk_only(cluster: Cluster) -> bool:
    """Whether the machine cannot attach what GKE's own default class makes."""
    machine = cluster.plan.hardware.machine
    return cluster.gke and machine is not None and CACHE in machine.disks


def _cache_class(cluster: Cluster) -> str | None:
    """None is the cluster's default class."""
    return cluster.disk.storage_class or (f"stoker-{CACHE}" if _hyperdisk_only(cluster) else None)


def _cache(cluster: Cluster) -> dict[str, Any]:
    if _one_cache(cluster):
        return {"name": "models", "persistentVolumeClaim": {"claimName": f"{cluster.weights_name}-cache"}}
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"]}
    if storage_class := _cache_class(cluster):
        spec["storageClassName"] = storage_class
    spec["resources"] = {"requests": {"storage": f"{size(cluster) // GIB}Gi"}}
    template = {"metadata": {"labels": cluster.labels("weights")}, "spec": spec}
    return {"name": "models", "ephemeral": {"volumeClaimTemplate": template}}
