"""Disks of the double: claims bind, snapshots become ready, disks are attached where pods run."""

import time

from tests.support.cluster.kinds import BY_KIND
from tests.support.cluster.pods import claimed, is_running
from tests.support.cluster.store import Object
from tests.support.cluster.world import AGAIN, Controller, World, key_of

NODE = "volume.kubernetes.io/selected-node"
DETACHES = 0.3  # seconds until a node lets go of a disk


class Volumes(Controller):
    """drivers: whether somebody makes disks."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.drivers = True

    def bind(self, claim: Object) -> None:
        """Gives a claim its volume, once what it is made of is ready."""
        if claim.get("status", {}).get("phase") == "Bound":
            return
        source = claim["spec"].get("dataSource")
        if source:
            key = ("VolumeSnapshot", claim["metadata"]["namespace"], source["name"])
            if not self.store.objects.get(key, {}).get("status", {}).get("readyToUse"):
                self.store.status(key_of(claim), phase="Pending")
                return
        name = claim["spec"].get("storageClassName")
        if name and not self.drivers:
            self._external(claim, name)
            return
        volume = claim["spec"].get("volumeName") or f"pv-{claim['metadata']['uid']}"
        self.store.put(
            key_of(claim),
            {**claim, "spec": {**claim["spec"], "volumeName": volume}},
            "kube-controller-manager",
        )
        self.store.status(
            key_of(claim),
            phase="Bound",
            accessModes=claim["spec"]["accessModes"],
            capacity=claim["spec"]["resources"]["requests"],
        )

    def _external(self, claim: Object, name: str) -> None:
        """A claim for which nobody makes a disk: only the controller of volumes speaks, once the pod's node
        is known."""
        kind = self.store.objects.get(("StorageClass", "", name), {})
        meta = claim["metadata"]
        self.store.status(key_of(claim), phase="Pending")
        if kind.get("volumeBindingMode") == "WaitForFirstConsumer" and NODE not in meta.get(
            "annotations", {}
        ):
            notes = {**meta.get("annotations", {}), NODE: "l4-0"}
            if any(meta["name"] in claimed(pod) for pod in self.store.list("Pod", meta["namespace"])):
                self.store.put(key_of(claim), {**claim, "metadata": {**meta, "annotations": notes}})
            return
        self.world.tell(
            claim,
            "ExternalProvisioning",
            f"Waiting for a volume to be created either by the external provisioner "
            f"'{kind.get('provisioner')}' or manually by the system administrator. If volume creation is "
            f"delayed, please verify that the provisioner is running and correctly registered.",
            source="persistentvolume-controller",
            again=AGAIN,
        )

    def attach(self, claim: Object) -> None:
        """The disk is attached to the node of a pod that runs with it, and leaves a moment after the pod has
        ended."""
        volume, meta = claim["spec"].get("volumeName"), claim["metadata"]
        pods = self.store.list("Pod", meta["namespace"])
        here = {p["spec"]["nodeName"] for p in pods if is_running(p) and meta["name"] in claimed(p)}
        there = {
            one["spec"]["nodeName"]: one
            for one in self.store.list("VolumeAttachment")
            if one["spec"]["source"]["persistentVolumeName"] == volume
        }
        for node in here - set(there):
            body = {
                "metadata": {"name": f"csi-{volume}-{node}"},
                "spec": {"attacher": "double", "nodeName": node, "source": {"persistentVolumeName": volume}},
            }
            made = self.store.create(BY_KIND["VolumeAttachment"], "", body)
            self.store.status(key_of(made), attached=True)
        for node, one in there.items():
            left = self.world.begun.setdefault(f"left {one['metadata']['uid']}", time.monotonic())
            if node in here:
                self.world.begun[f"left {one['metadata']['uid']}"] = time.monotonic()
            elif (time.monotonic() - left) * self.world.speed > DETACHES:
                self.store.delete(key_of(one))

    def snapshot(self, snapshot: Object) -> None:
        """Ready a moment after it was made."""
        claim = snapshot["spec"]["source"].get("persistentVolumeClaimName")
        here = ("PersistentVolumeClaim", snapshot["metadata"]["namespace"], claim)
        if here in self.store.objects and self.world.age(snapshot) > 0.2:
            self.store.status(key_of(snapshot), readyToUse=True, restoreSize="10Gi")
