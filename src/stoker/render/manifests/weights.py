"""How pods get the weights: a read-only-many disk, a mounted bucket, a stream, or a cache of the hub.

disk: an empty claim, a Job that copies and checks, a snapshot of the claim, and read-only-many claims made from the
snapshot; or an existing disk by its handle. The objects are named by their source, so that a rollback finds its own.

Sources: https://cloud.google.com/kubernetes-engine/docs/how-to/persistent-volumes/hyperdisk-ml (claims from a snapshot,
several zones), https://cloud.google.com/kubernetes-engine/docs/how-to/cloud-storage-fuse-csi-driver-ephemeral,
https://rclone.org/docs.
"""

from math import ceil
from typing import Any

from stoker.errors import Mistake
from stoker.render.manifests.choices import MOUNT, SPACE, USER, Cluster, folder_of
from stoker.render.manifests.manifest import Manifest
from stoker.spec.nouns import Bucket, Hub, Source
from stoker.units import Bytes

GIB = 1024**3
DRIVER = "pd.csi.storage.gke.io"
RCLONE = "rclone/rclone:1.71.2"
# Nodes that may attach one disk read-only at a time.
READERS = {"pd-ssd": 100, "hyperdisk-ml": 2500}
UNSAFE = (
    "bin",
    "pt",
    "pth",
    "ckpt",
    "pkl",
    "pickle",
    "h5",
    "msgpack",
    "onnx",
    "gguf",
)  # never served from here


def weights_objects(cluster: Cluster) -> tuple[Manifest, ...]:
    """What has to be there before the engine's pods. Raises: Mistake, for more readers than the disk takes."""
    match cluster.weights:
        case "disk":
            _check_readers(cluster)
            return _existing(cluster) if cluster.disk.handle else _copied(cluster)
        case "hub" if _one_cache(cluster):
            return (
                _claim(cluster, f"{cluster.weights_name}-cache", ["ReadWriteOnce"], _storage_class(cluster)),
            )
        case _:
            return ()


def engine_volumes(cluster: Cluster) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The volume of an engine's pod that holds the weights, with its mount."""
    mount: dict[str, Any] = {"name": "models", "mountPath": MOUNT}
    match cluster.weights:
        case "disk":
            claim = {"claimName": _read_claim(cluster), "readOnly": True}
            return [({"name": "models", "persistentVolumeClaim": claim}, mount | {"readOnly": True})]
        case "gcsfuse":
            return [({"name": "models", "csi": _fuse(cluster)}, mount | {"readOnly": True})]
        case "hub" if cluster.spec.engine.kind == "simulated":
            return []
        case "hub":
            return [(_cache(cluster), mount)]
        case _:
            return []


def pod_annotations(cluster: Cluster) -> dict[str, str]:
    """What the bucket's sidecar wants: to be there, and memory for its caches."""
    if cluster.weights != "gcsfuse":
        return {}
    return {"gke-gcsfuse/volumes": "true", "gke-gcsfuse/memory-limit": "8Gi", "gke-gcsfuse/ephemeral-storage-limit": "0", "gke-gcsfuse/cpu-limit": "0"}  # fmt: skip


def size(cluster: Cluster) -> Bytes:
    """Of the disk: as asked, else the checkpoint and a fifth, in whole tens of GiB."""
    if cluster.disk.size:
        return cluster.disk.size
    return Bytes(max(10, ceil(1.2 * cluster.weight_bytes / GIB / 10) * 10) * GIB)


def _check_readers(cluster: Cluster) -> None:
    nodes = cluster.spec.replicas.high * cluster.plan.nodes
    most = READERS[cluster.disk.type]
    if nodes > most and not cluster.disk.storage_class:
        raise Mistake(
            f"{nodes} nodes cannot read one {cluster.disk.type}", why=f"it takes {most} read-only attachments",
            fix="disk: {type: hyperdisk-ml}, weights: stream, or fewer replicas", rule="disk-readers",
        )  # fmt: skip


def _existing(cluster: Cluster) -> tuple[Manifest, ...]:
    """The claim and the volume of a disk that is there, read-only for many."""
    name, quantity = cluster.weights_name, f"{size(cluster) // GIB}Gi"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": f"{cluster.namespace}-{name}",
            "labels": cluster.labels("weights") | {SPACE: cluster.namespace},
        },
        "spec": {
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
            "mountOptions": ["ro", "noload"],
        },
    }
    if zone := _zone_of(str(cluster.disk.handle)):
        volume["spec"]["nodeAffinity"] = {  # type: ignore[index]
            "required": {
                "nodeSelectorTerms": [
                    {
                        "matchExpressions": [
                            {"key": "topology.gke.io/zone", "operator": "In", "values": [zone]}
                        ]
                    }
                ]
            }
        }
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
    return Manifest(volume), Manifest(claim)


def _zone_of(handle: str) -> str | None:
    parts = handle.split("/")
    return parts[parts.index("zones") + 1] if "zones" in parts[:-1] else None


def _copied(cluster: Cluster) -> tuple[Manifest, ...]:
    """Claim, Job, snapshot, read-only-many claim; and the classes where the cluster has none of its own."""
    name = cluster.weights_name
    snapshot_class = cluster.disk.snapshot_class or "stoker-weights"
    classes = [] if cluster.disk.storage_class else [_disk_class(cluster)]
    if not cluster.disk.snapshot_class:
        classes.append(_snapshot_class())
    source = _claim(cluster, f"{name}-copy", ["ReadWriteOnce"], _storage_class(cluster))
    snapshot = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshot",
        "metadata": cluster.meta(name, "weights"),
        "spec": {
            "volumeSnapshotClassName": snapshot_class,
            "source": {"persistentVolumeClaimName": f"{name}-copy"},
        },
    }
    reading = _claim(cluster, name, ["ReadOnlyMany"], _storage_class(cluster))
    reading.body["spec"]["dataSource"] = {
        "apiGroup": "snapshot.storage.k8s.io",
        "kind": "VolumeSnapshot",
        "name": name,
    }
    return (*classes, source, _job(cluster), Manifest(snapshot), reading)


def _read_claim(cluster: Cluster) -> str:
    return cluster.weights_name


def _storage_class(cluster: Cluster) -> str | None:
    if cluster.disk.storage_class:
        return cluster.disk.storage_class
    return _class_name(cluster) if cluster.weights == "disk" else None


def _class_name(cluster: Cluster) -> str:
    zones = "-".join(cluster.disk.zones)
    return f"stoker-{cluster.disk.type}{f'-{zones}' if zones else ''}"


def _disk_class(cluster: Cluster) -> Manifest:
    zones = cluster.disk.zones
    parameters: dict[str, str] = {"type": cluster.disk.type}
    if len(zones) > 1:
        parameters["enable-multi-zone-provisioning"] = "true"
    body: dict[str, Any] = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": _class_name(cluster), "labels": {"app.kubernetes.io/managed-by": "stoker"}},
        "provisioner": DRIVER,
        "parameters": parameters,
        "reclaimPolicy": "Delete",
        "allowVolumeExpansion": True,
        "volumeBindingMode": "Immediate" if len(zones) > 1 else "WaitForFirstConsumer",
    }
    if zones:
        values = [{"key": "topology.gke.io/zone", "values": list(zones)}]
        body["allowedTopologies"] = [{"matchLabelExpressions": values}]
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


def _claim(cluster: Cluster, name: str, modes: list[str], storage_class: str | None) -> Manifest:
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


def _job(cluster: Cluster) -> Manifest:
    """Copies, then checks what was copied; a second run goes on where the first was cut."""
    steps = _copy_steps(cluster)
    metadata: dict[str, Any] = {"labels": dict(cluster.ask.labels) | cluster.labels("copy")}
    if cluster.ask.annotations:
        metadata["annotations"] = dict(cluster.ask.annotations)
    pod = {
        "metadata": metadata,
        "spec": {
            "serviceAccountName": cluster.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "OnFailure",
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
            },
            **({"initContainers": steps[:-1]} if steps[:-1] else {}),
            "containers": steps[-1:],
            "volumes": [
                {"name": "models", "persistentVolumeClaim": {"claimName": f"{cluster.weights_name}-copy"}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "4Gi"}},
            ],
        },
    }  # fmt: skip
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": cluster.meta(f"{cluster.weights_name}-copy", "copy"),
        "spec": {"backoffLimit": 10, "template": pod},
    }
    return Manifest(body)


def _copy_steps(cluster: Cluster) -> list[dict[str, Any]]:
    """One container a source (the model and its adapters), and one that checks it."""
    sources = [(f"{MOUNT}/{folder_of(cluster.source)}", cluster.source)]
    sources += [(f"{MOUNT}/adapters/{name}", source) for name, source in cluster.spec.model.adapters.items()]
    out: list[dict[str, Any]] = []
    for number, (folder, source) in enumerate(sources):
        tail = f"-{number}" if number else ""
        out += [_step(cluster, f"{verb}{tail}", argv, source) for verb, argv in _words(source, folder)]
    return out


def _words(source: Source, folder: str) -> list[tuple[str, list[str]]]:
    match source:
        case Bucket(scheme=scheme, bucket=bucket, prefix=prefix):
            remote = f":{'gcs' if scheme == 'gs' else 's3'},env_auth=true{',bucket_policy_only=true' if scheme == 'gs' else ',provider=AWS'}:{bucket}/{prefix}"  # fmt: skip
            skipped = ["--exclude", f"*.{{{','.join(UNSAFE)}}}"]
            progress = ["--stats", "5s", "--stats-one-line", "--use-json-log", "--log-level", "INFO"]
            copy = [
                "rclone",
                "copy",
                remote,
                folder,
                "--checksum",
                "--transfers",
                "8",
                "--multi-thread-streams",
                "8",
            ]
            check = ["rclone", "check", remote, folder, "--one-way", "--checkers", "8"]
            return [("copy", [*copy, *skipped, *progress]), ("check", [*check, *skipped, *progress])]
        case Hub(repo=repo, revision=revision):
            skipped = [word for ending in UNSAFE for word in ("--exclude", f"*.{ending}")]
            return [
                ("copy", ["hf", "download", repo, "--revision", revision, "--local-dir", folder, *skipped])
            ]
        case _:
            raise Mistake(
                f"a cluster cannot read {source}", why="it is on this machine", fix="copy it to a bucket and name that",
                rule="kubernetes-weights",
            )  # fmt: skip


def _step(cluster: Cluster, name: str, argv: list[str], source: Source) -> dict[str, Any]:
    hub = isinstance(source, Hub)
    env: list[dict[str, Any]] = [{"name": "HOME", "value": "/tmp"}]
    if hub:
        env.append({"name": "HF_HOME", "value": "/tmp/huggingface"})
        if cluster.token_secret:
            secret, key = cluster.token_secret
            env.append({"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    return {
        "name": name,
        "image": cluster.image if hub else RCLONE,
        "command": argv,
        "env": env,
        "resources": {"requests": {"cpu": "2", "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "models", "mountPath": MOUNT}, {"name": "tmp", "mountPath": "/tmp"}],
    }


def _fuse(cluster: Cluster) -> dict[str, Any]:
    """The preset for serving: everything is read once, in parallel, and kept in memory."""
    assert isinstance(cluster.source, Bucket)
    options = [
        "implicit-dirs", f"uid={USER}", f"gid={USER}", "file-mode=0444", "dir-mode=0555",
        "metadata-cache:ttl-secs:-1", "metadata-cache:stat-cache-max-size-mb:-1", "metadata-cache:type-cache-max-size-mb:-1",
        "file-cache:max-size-mb:0", "file-system:kernel-list-cache-ttl-secs:-1", "read_ahead_kb=1024",
    ]  # fmt: skip
    if prefix := cluster.source.prefix.strip("/"):
        options.insert(1, f"only-dir={prefix}")
    return {
        "driver": "gcsfuse.csi.storage.gke.io",
        "readOnly": True,
        "volumeAttributes": {"bucketName": cluster.source.bucket, "mountOptions": ",".join(options)},
    }


def _one_cache(cluster: Cluster) -> bool:
    """Whether one claim does for the cache: a single pod reads it."""
    return cluster.spec.engine.kind != "simulated" and cluster.spec.replicas.high * cluster.plan.nodes == 1


def _cache(cluster: Cluster) -> dict[str, Any]:
    if _one_cache(cluster):
        return {"name": "models", "persistentVolumeClaim": {"claimName": f"{cluster.weights_name}-cache"}}
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"]}
    if cluster.disk.storage_class:
        spec["storageClassName"] = cluster.disk.storage_class
    spec["resources"] = {"requests": {"storage": f"{size(cluster) // GIB}Gi"}}
    template = {"metadata": {"labels": cluster.labels("weights")}, "spec": spec}
    return {"name": "models", "ephemeral": {"volumeClaimTemplate": template}}
