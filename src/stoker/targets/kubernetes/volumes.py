"""The fleet's claims and snapshots: the stage of the claim that is read, and what nobody makes."""

from collections.abc import Iterable
from typing import Any

from stoker.errors import UsageError
from stoker.fleet.state import Evidence, Service
from stoker.targets.kubernetes.client import FORBIDDEN, Api
from stoker.targets.kubernetes.pods import moment

Object = dict[str, Any]
UNMADE_SECONDS = 15.0  # a provisioner that runs has begun by then
NODE = "volume.kubernetes.io/selected-node"  # a pod that waits for the claim has its node
IN_TREE = {
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
}


def stage(claims: Iterable[Object]) -> tuple[Service, ...]:
    """The newest claim that is made from a snapshot, as a stage."""
    made = [one for one in claims if one["spec"].get("dataSource")]
    newest = max(made, key=lambda one: moment(one["metadata"].get("creationTimestamp")), default=None)
    if newest is None:
        return ()
    since, phase = moment(newest["metadata"].get("creationTimestamp")), newest.get("status", {}).get("phase")
    if phase == "Bound":
        return (Service("claim", "Ready", since),)
    return (
        Service("claim", "Loading", since, detail="the disk is made of the snapshot, with its first pod"),
    )


def unmade(
    api: Api, claims: Iterable[Object], snapshots: Iterable[Object], now: float
) -> tuple[Evidence, ...]:
    """Claims and snapshots that wait for a driver or controller which is not there."""
    out = [piece for one in claims if _late(one, now) for piece in _claim(api, one, now)]
    return (*out, *(piece for one in snapshots if _late(one, now) for piece in _snapshot(api, one, now)))


def _late(body: Object, now: float) -> bool:
    status = body.get("status", {})
    waits = (
        status.get("phase", "Pending") == "Pending" if body["kind"] == "PersistentVolumeClaim" else not status
    )
    return waits and _age(body, now) > UNMADE_SECONDS


def _age(body: Object, now: float) -> float:
    return now - moment(body["metadata"].get("creationTimestamp"))


def _claim(api: Api, claim: Object, now: float) -> list[Evidence]:
    name = claim["spec"].get("storageClassName")
    if not name or claim["spec"].get("volumeName"):
        return []
    known, found = look(api, "StorageClass", name)
    if known and found is None:
        return [_sign(claim, "NoClass", f'storageclass.storage.k8s.io "{name}" not found')]
    waits = (found or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
    if found is None or (waits and NODE not in (claim["metadata"].get("annotations") or {})):
        return []
    text = _driver(api, str(found.get("provisioner", "")))
    return (
        [_sign(claim, "NoDriver", f"the StorageClass {name} {text} ({_age(claim, now):.0f} s)")]
        if text
        else []
    )


def _driver(api: Api, provisioner: str) -> str:
    """What is wrong with who makes a class's disks; empty where it is there, or cannot be looked for."""
    if provisioner == "kubernetes.io/no-provisioner":
        return "makes none by itself, and no free volume fits"
    driver = IN_TREE.get(provisioner, provisioner)
    known, found = look(api, "CSIDriver", driver)
    if not known:
        return ""
    if found is None:
        return f"is served by {driver}, and the cluster has no CSI driver of that name"
    return f"is served by {driver}, which is registered and has made nothing: do its controller's pods run?"


def _snapshot(api: Api, snapshot: Object, now: float) -> list[Evidence]:
    name = snapshot["spec"].get("volumeSnapshotClassName", "")
    text = f"no controller has looked at it in {_age(snapshot, now):.0f} s"
    known, found = look(api, "VolumeSnapshotClass", name) if name else (False, None)
    if known and found is None:
        text = f"the VolumeSnapshotClass {name} is not there"
    return [_sign(snapshot, "NoSnapshotter", text)]


def look(api: Api, kind: str, name: str) -> tuple[bool, Object | None]:
    """Whether an object of no namespace could be looked for, and what was found."""
    try:
        return True, api.get(kind, None, name)
    except UsageError as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        return False, None


def _sign(body: Object, reason: str, text: str) -> Evidence:
    return Evidence("condition", f"{body['kind']}/{body['metadata']['name']}", reason, text)
