"""What has to wait for something else: a snapshot for its copy, a claim for its snapshot, the replicas for
their weights."""

from stoker.errors import UsageError
from stoker.render.manifests import Manifest
from stoker.targets.kubernetes import stages, workload
from stoker.targets.kubernetes.client import FORBIDDEN, Api, Object
from stoker.targets.kubernetes.copying import Copying


def too_early(api: Api, copying: Copying, one: Manifest) -> str:
    """Why a snapshot or a claim of one cannot be made yet; empty where it can."""
    if not one.waits:
        return ""
    if one.kind == "VolumeSnapshot":
        job = api.get("Job", one.namespace, f"{one.name}-copy")
        done = job is not None and stages.finished(job)
        return copying.unwritten(job) if job and done else "the copy of the weights goes on"
    snapshot = api.get("VolumeSnapshot", one.namespace, one.body["spec"]["dataSource"]["name"])
    ready = snapshot and snapshot.get("status", {}).get("readyToUse")
    return "" if ready else "the snapshot is being taken"


def weightless(api: Api, body: Object, live: Object | None, claims: dict[str, Manifest]) -> tuple[str, str]:
    """The claim that the pods of a workload could not mount now, and why; empty where they can, or do
    already.

    claims: those of the plan. A replica that goes for one whose weights are not there is an outage as long as
    a copy.
    """
    for name in _mounted(body) - (_mounted(live) if live else set()):
        planned = claims.get(name)
        if planned is None or not planned.waits:
            continue  # of a disk that is there, or that the pod itself fills
        if why := _unready(api, api.get("PersistentVolumeClaim", planned.namespace, name)):
            return str(planned), why
    return "", ""


def _mounted(body: Object) -> set[str]:
    """Names of the claims that its pods mount."""
    volumes = [one for template in workload.templates(body) for one in template["spec"].get("volumes", ())]
    return {one["persistentVolumeClaim"]["claimName"] for one in volumes if "persistentVolumeClaim" in one}


def _unready(api: Api, claim: Object | None) -> str:
    """Why no pod could start with it: it is bound, or will be with the first pod, in the cases where one
    could."""
    if claim is None:
        return "its weights are not there yet"
    if "deletionTimestamp" in claim["metadata"]:
        return "its claim is being deleted"
    phase = claim.get("status", {}).get("phase", "Pending")
    if phase == "Lost":
        return "its disk is gone"
    if phase == "Bound" or _with_first_pod(api, claim):
        return ""
    return "its disk is being made"


def _with_first_pod(api: Api, claim: Object) -> bool:
    """Whether the disk is only made, or attached, once a pod asks for it; so, too, where nobody may tell."""
    name = claim["spec"].get("storageClassName")
    if not name:
        return True
    try:
        found = api.get("StorageClass", None, name)
    except UsageError as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        return True
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"
