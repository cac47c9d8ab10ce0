"""The disk that many pods read: an existing one by its handle, or a copy made from a snapshot.

An empty claim, a Job that copies and checks, a snapshot of the claim, and a read-only-many claim made from
the snapshot. The objects are named by what they hold, so that a rollback finds its own.

Sources: https://cloud.google.com/kubernetes-engine/docs/how-to/persistent-volumes/hyperdisk-ml (claims from a
snapshot, several zones),
https://cloud.google.com/kubernetes-engine/docs/how-to/persistent-volumes/migrating-pd-hyperdisk (a snapshot
of one type of disk becomes another),
https://github.com/kubernetes-sigs/gcp-compute-persistent-disk-csi-driver (a multi-zone volume is read-only
and gives no snapshot; read_ahead_kb).
"""

from math import ceil
from typing import Any

from stoker.errors import UsageError
from stoker.render.manifests.choices import SPACE, Cluster
from stoker.render.manifests.copy_job import copy_job
from stoker.render.manifests.manifest import Manifest
from stoker.spec.places import any_of
from stoker.units import Bytes

GIB = 1024**3
DRIVER = "pd.csi.storage.gke.io"
# Nodes that may attach one disk read-only at a time.
READERS = {"pd-ssd": 100, "hyperdisk-ml": 2500}
COPY = "pd-ssd"  # the type that copies are written on: every machine but the newest attaches it
AHEAD = "read_ahead_kb=4096"  # weights are read from end to end
ANY_ZONE = "multi-zone"  # in the handle of a Hyperdisk ML volume that stands in several


def size(cluster: Cluster) -> Bytes:
    """Of the disk: as asked, else the checkpoint and a fifth, in whole tens of GiB."""
    if cluster.disk.size:
        return cluster.disk.size
    return Bytes(max(10, ceil(1.2 * cluster.weight_bytes / GIB / 10) * 10) * GIB)


def check_machine(cluster: Cluster) -> None:
    """Raises: UsageError, where the machine cannot attach the disk."""
    machine = cluster.plan.hardware.machine
    if cluster.disk.storage_class or not cluster.gke or machine is None or cluster.disk_type in machine.disks:
        return
    one_zone = len(cluster.disk.zones) > 1
    fix = "one zone in disk.zones" if one_zone else f"disk: {{type: {machine.disks[0]}}}"
    raise UsageError(
        f"{machine} cannot attach a {cluster.disk_type}",
        at=any_of("kubernetes.disk.type", "kubernetes.disk"),
        why=f"it takes {', '.join(machine.disks)}",
        fix=f"{fix}, or weights: stream",
        rule="disk-machine",
    )


def check_readers(cluster: Cluster) -> None:
    """Raises: UsageError, for more nodes than one disk is read by."""
    nodes = (cluster.spec.replicas.high + cluster.ask.surge) * cluster.plan.nodes
    most = READERS[cluster.disk_type]
    if nodes > most and not cluster.disk.storage_class:
        raise UsageError(
            f"{nodes} nodes cannot read one {cluster.disk_type}",
            why=f"it takes {most} read-only attachments",
            fix=f"disk: {{type: hyperdisk-ml}}{' where it is one' if cluster.disk.handle else ''}, weights: "
            f"stream, or fewer replicas",
            rule="disk-readers",
        )


def existing(cluster: Cluster) -> tuple[Manifest, ...]:
    """The volume of a disk that is there, and its claim, read-only for many."""
    name, quantity = cluster.weights_name, f"{size(cluster) // GIB}Gi"
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": cluster.meta(name, "weights"),
        "spec": {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": "",
            "volumeName": f"{cluster.namespace}-{name}",
            "resources": {"requests": {"storage": quantity}},
        },
    }
    return _volume(cluster, name, quantity), Manifest(claim)


def _volume(cluster: Cluster, name: str, quantity: str) -> Manifest:
    """Of no namespace, and so named by it; held for the claim of that name, and kept when that one goes."""
    spec: dict[str, Any] = {
        "storageClassName": "",
        "capacity": {"storage": quantity},
        "accessModes": ["ReadOnlyMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": cluster.namespace, "name": name},
        "csi": {
            "driver": DRIVER,
            "volumeHandle": cluster.disk.handle,
            "fsType": "ext4",
            "readOnly": True,
        },
        "mountOptions": ["ro", "noload", AHEAD],
    }
    if zones := _zones_of(cluster):
        term = {"key": "topology.gke.io/zone", "operator": "In", "values": zones}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}}
    labels = cluster.labels("weights") | {SPACE: cluster.namespace}
    metadata = {"name": f"{cluster.namespace}-{name}", "labels": labels}
    return Manifest({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})


def _zones_of(cluster: Cluster) -> list[str]:
    """Where an existing disk stands: as its handle says, else as the file does. Raises: UsageError, where
    neither does."""
    parts = str(cluster.disk.handle).split("/")
    zone = parts[parts.index("zones") + 1] if "zones" in parts[:-1] else ""
    if zone == ANY_ZONE and not cluster.disk.zones:
        raise UsageError(
            "the disk stands in several zones, and the file does not say in which",
            at="kubernetes.weights",
            why="pods would be put into zones without it",
            fix="disk: {zones: [ZONE, …]}",
            rule="disk-zones",
        )
    return [zone] if zone not in ("", ANY_ZONE) else list(cluster.disk.zones)


def copied(cluster: Cluster) -> tuple[Manifest, ...]:
    """Claim, Job, snapshot, read-only-many claim; and the classes where the cluster has none of its own."""
    name = cluster.weights_name
    snapshot_class = cluster.disk.snapshot_class or "stoker-weights"
    classes = [] if cluster.disk.storage_class else [_disk_class(cluster)]
    copy_class = cluster.disk.copy_class or cluster.disk.storage_class
    if not copy_class and cluster.disk_type == COPY:
        copy_class = _class_name(cluster)
    elif not copy_class:
        classes.append(type_class(COPY))
        copy_class = classes[-1].name
    if not cluster.disk.snapshot_class:
        classes.append(_snapshot_class())
    source = claim(cluster, f"{name}-copy", ["ReadWriteOnce"], copy_class)
    snapshot = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": cluster.meta(name, "weights"),
        "spec": {
            "volumeSnapshotClassName": snapshot_class,
            "source": {"persistentVolumeClaimName": f"{name}-copy"},
        },
    }
    reading = claim(cluster, name, ["ReadOnlyMany"], cluster.disk.storage_class or _class_name(cluster))
    reading.body["spec"]["dataSource"] = {
        "apiGroup": "snapshot.storage.k8s.io",
        "kind": "VolumeSnapshot",
        "name": name,
    }
    return (*classes, source, copy_job(cluster), Manifest(snapshot), reading)


def _class_name(cluster: Cluster) -> str:
    zones = "-".join(cluster.disk.zones)
    return f"stoker-{cluster.disk_type}{f'-{zones}' if zones else ''}"


def _disk_class(cluster: Cluster) -> Manifest:
    """Of the claim that many read: in one zone, or a disk in each of several."""
    zones = cluster.disk.zones
    several = len(zones) > 1
    made = type_class(cluster.disk_type, _class_name(cluster))
    if several:
        made.body["parameters"]["enable-multi-zone-provisioning"] = "true"
        made.body["volumeBindingMode"] = "Immediate"
        made.body["allowVolumeExpansion"] = False
    if zones:
        values = [{"key": "topology.gke.io/zone", "values": list(zones)}]
        made.body["allowedTopologies"] = [{"matchLabelExpressions": values}]
    return made


def type_class(kind: str, name: str = "") -> Manifest:
    """A StorageClass of a type of GKE's disks, in the first pod's zone."""
    body: dict[str, Any] = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": name or f"stoker-{kind}",
            "labels": {"app.kubernetes.io/managed-by": "stoker"},
        },
        "provisioner": DRIVER,
        "parameters": {"type": kind},
        "mountOptions": [AHEAD],
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    return Manifest(body)


def _snapshot_class() -> Manifest:
    body = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotClass",
        "metadata": {"name": "stoker-weights", "labels": {"app.kubernetes.io/managed-by": "stoker"}},
        "driver": DRIVER,
        "deletionPolicy": "Delete",
    }
    return Manifest(body)


def claim(cluster: Cluster, name: str, modes: list[str], storage_class: str | None) -> Manifest:
    spec: dict[str, Any] = {"accessModes": modes}
    if storage_class:
        spec["storageClassName"] = storage_class
    spec["resources"] = {"requests": {"storage": f"{size(cluster) // GIB}Gi"}}
    body = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": cluster.meta(name, "weights"),
        "spec": spec,
    }
    return Manifest(body)
