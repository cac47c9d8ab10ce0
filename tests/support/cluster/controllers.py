"""What the controllers and the kubelets of the double do, one step at a time: `Lives.step()`.

Deployments keep pods through rollouts, LeaderWorkerSets keep groups, Jobs run to their end, claims bind,
snapshots become ready. A pod is scheduled where a node has what it requests, and then lives as its `fake/`
annotations say.
"""

import hashlib
import json
import time
from copy import deepcopy
from typing import Any

from tests.support.cluster.kinds import BY_KIND
from tests.support.cluster.pods import claimed, is_ready, is_running, requested
from tests.support.cluster.store import Object, Refused, Store, now

REVISION = "deployment.kubernetes.io/revision"
LWS = "leaderworkerset.sigs.k8s.io"
AGAIN = 5.0  # seconds until an event of what goes on counts up
NODE = "volume.kubernetes.io/selected-node"
DETACHES = 0.3  # seconds until a node lets go of a disk
FAULTS = {
    "ImagePullBackOff": ("waiting", "ImagePullBackOff", 'Back-off pulling image "{image}"'),
    "ContainerCreating": ("waiting", "ContainerCreating", ""),
    "CrashLoopBackOff": ("waiting", "CrashLoopBackOff", "back-off 10s restarting failed container"),
    "OOMKilled": ("waiting", "CrashLoopBackOff", "back-off 10s restarting failed container"),
}


class Controllers:
    """All controllers and kubelets. `speed` makes the seconds of annotations shorter."""

    def __init__(self, store: Store, speed: float = 1.0) -> None:
        self.store, self.speed = store, speed
        self.begun: dict[str, float] = {}
        self.told: dict[tuple[str, str, str], float] = {}
        self.logs: dict[tuple[str, str], str] = {}
        self.stamps: dict[tuple[str, str], list[str]] = {}
        self.drivers = self.gateways = True  # whether somebody makes disks, and takes on Gateways
        self.hpa_moves = True
        self.hpa_says = "no metrics returned from custom metrics API"

    def step(self) -> None:
        """One round of everything."""
        with self.store.lock:
            for space in self.store.list("Namespace"):
                if "deletionTimestamp" in space["metadata"]:
                    self.store.sweep(space)
            for claim in self.store.list("PersistentVolumeClaim"):
                self._bind(claim)
            for snapshot in self.store.list("VolumeSnapshot"):
                self._snapshot(snapshot)
            for one in self.store.list("Deployment"):
                self._deployment(one)
            for one in self.store.list("LeaderWorkerSet"):
                self._group(one)
            for one in self.store.list("Job"):
                self._job(one)
            for pod in self.store.list("Pod"):
                self._pod(pod)
            for claim in self.store.list("PersistentVolumeClaim"):
                self._attach(claim)
            for one in (*self.store.list("Gateway"), *self.store.list("HTTPRoute")):
                self._gateway(one)
            for hpa in self.store.list("HorizontalPodAutoscaler"):
                self._hpa(hpa)

    def lines(self, namespace: str, pod: str) -> list[tuple[str, str]]:
        """A pod's log by line, each with the time at which it was first seen."""
        lines = self.logs.get((namespace, pod), "").splitlines()
        stamps = self.stamps.setdefault((namespace, pod), [])
        stamps += [now(exactly=True)] * (len(lines) - len(stamps))
        return list(zip(stamps, lines, strict=False))

    def _age(self, body: Object) -> float:
        begun = self.begun.setdefault(body["metadata"]["uid"], time.monotonic())
        return (time.monotonic() - begun) * self.speed

    def _bind(self, claim: Object) -> None:
        if claim.get("status", {}).get("phase") == "Bound":
            return
        source = claim["spec"].get("dataSource")
        if source:
            key = ("VolumeSnapshot", claim["metadata"]["namespace"], source["name"])
            if not self.store.objects.get(key, {}).get("status", {}).get("readyToUse"):
                self.store.status(_key(claim), phase="Pending")
                return
        name = claim["spec"].get("storageClassName")
        if name and not self.drivers:
            self._external(claim, name)
            return
        volume = claim["spec"].get("volumeName") or f"pv-{claim['metadata']['uid']}"
        self.store.put(
            _key(claim), {**claim, "spec": {**claim["spec"], "volumeName": volume}}, "kube-controller-manager"
        )
        self.store.status(
            _key(claim),
            phase="Bound",
            accessModes=claim["spec"]["accessModes"],
            capacity=claim["spec"]["resources"]["requests"],
        )

    def _external(self, claim: Object, name: str) -> None:
        """A claim for which nobody makes a disk: only the controller of volumes speaks, once the pod's node
        is known."""
        kind = self.store.objects.get(("StorageClass", "", name), {})
        meta = claim["metadata"]
        self.store.status(_key(claim), phase="Pending")
        if kind.get("volumeBindingMode") == "WaitForFirstConsumer" and NODE not in meta.get(
            "annotations", {}
        ):
            notes = {**meta.get("annotations", {}), NODE: "l4-0"}
            if any(meta["name"] in claimed(pod) for pod in self.store.list("Pod", meta["namespace"])):
                self.store.put(_key(claim), {**claim, "metadata": {**meta, "annotations": notes}})
            return
        self._tell(
            claim,
            "ExternalProvisioning",
            f"Waiting for a volume to be created either by the external provisioner "
            f"'{kind.get('provisioner')}' or manually by the system administrator. If volume creation is "
            f"delayed, please verify that the provisioner is running and correctly registered.",
            source="persistentvolume-controller",
            again=AGAIN,
        )

    def _gateway(self, one: Object) -> None:
        """A Gateway or route as its controller takes it on; where none runs, as the API server defaults
        it."""
        names = ("Accepted", "Programmed") if one["kind"] == "Gateway" else ("Accepted", "ResolvedRefs")
        good = [{"type": name, "status": "True", "reason": name, "message": ""} for name in names]
        waits = [
            {"type": name, "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}
            for name in names
        ]
        if one["kind"] == "Gateway":
            self.store.status(_key(one), conditions=good if self.gateways else waits)
        elif self.gateways:
            self.store.status(_key(one), parents=[{"conditions": good}])

    def _attach(self, claim: Object) -> None:
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
            self.store.status(_key(made), attached=True)
        for node, one in there.items():
            left = self.begun.setdefault(f"left {one['metadata']['uid']}", time.monotonic())
            if node in here:
                self.begun[f"left {one['metadata']['uid']}"] = time.monotonic()
            elif (time.monotonic() - left) * self.speed > DETACHES:
                self.store.delete(_key(one))

    def _snapshot(self, snapshot: Object) -> None:
        claim = snapshot["spec"]["source"].get("persistentVolumeClaimName")
        here = ("PersistentVolumeClaim", snapshot["metadata"]["namespace"], claim)
        if here in self.store.objects and self._age(snapshot) > 0.2:
            self.store.status(_key(snapshot), readyToUse=True, restoreSize="10Gi")

    def _deployment(self, one: Object) -> None:
        spec = one["spec"]
        wanted, digest = spec.get("replicas", 1), _digest(spec["template"])
        self._replica_set(one, digest)
        pods = self._children(one)
        new = [p for p in pods if p["metadata"]["labels"]["pod-template-hash"] == digest]
        old = [p for p in pods if p not in new]
        rolling = spec.get("strategy", {}).get("rollingUpdate", {})
        surge, gone = int(rolling.get("maxSurge", 1)), int(rolling.get("maxUnavailable", 0))
        for pod in (*sorted(old, key=is_ready), *new[wanted:]):
            if not is_ready(pod) or sum(map(is_ready, pods)) > wanted - gone:
                self.store.delete(_key(pod))
                pods.remove(pod)
        new = new[:wanted]
        refused = ""
        while len(new) < wanted and len(pods) < wanted + surge and not refused:
            labels = {"pod-template-hash": digest}
            name = f"{one['metadata']['name']}-{digest}"
            owner = self.store.objects[("ReplicaSet", one["metadata"]["namespace"], name)]
            try:
                pod = self._make(one, spec["template"], f"{name}-", labels)
            except Refused as error:
                refused = error.message
                self._refused(owner, refused)
                break
            new.append(pod)
            pods.append(pod)
        ready = [p for p in pods if is_ready(p)]
        updated = len(new)
        available = len(ready) >= wanted - gone
        self.store.status(
            _key(one),
            observedGeneration=one["metadata"]["generation"],
            replicas=len(pods),
            updatedReplicas=updated,
            readyReplicas=len(ready),
            availableReplicas=len(ready),
            unavailableReplicas=max(0, wanted - len(ready)),
            conditions=[
                {
                    "type": "Available",
                    "status": str(available),
                    "reason": "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
                    "message": f"Deployment {'has' if available else 'does not have'} minimum availability.",
                },
                *(
                    [
                        {
                            "type": "ReplicaFailure",
                            "status": "True",
                            "reason": "FailedCreate",
                            "message": refused,
                        }
                    ]
                    if refused
                    else []
                ),
                *(
                    [
                        {
                            "type": "Progressing",
                            "status": "Unknown",
                            "reason": "DeploymentPaused",
                            "message": "Deployment is paused",
                        }
                    ]
                    if spec.get("paused")
                    else []
                ),
            ],
        )

    def _refused(self, owner: Object, message: str) -> None:
        self._tell(owner, "FailedCreate", f"Error creating: {message}", "Warning", "controller", AGAIN)

    def _replica_set(self, one: Object, digest: str) -> None:
        """The record of a revision; the pods are the Deployment's own here."""
        meta = one["metadata"]
        name = f"{meta['name']}-{digest}"
        if ("ReplicaSet", meta["namespace"], name) in self.store.objects:
            return
        number = 1 + int(meta.get("annotations", {}).get(REVISION, 0))
        labels = {
            **one["spec"]["template"].get("metadata", {}).get("labels", {}),
            "pod-template-hash": digest,
        }
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"]}
        self.store.create(
            BY_KIND["ReplicaSet"],
            meta["namespace"],
            {
                "metadata": {
                    "name": name,
                    "labels": labels,
                    "annotations": {REVISION: str(number)},
                    "ownerReferences": [owner],
                },
                "spec": {},
            },
        )
        notes = {**meta.get("annotations", {}), REVISION: str(number)}
        self.store.put(
            _key(one), {**one, "metadata": {**meta, "annotations": notes}}, "kube-controller-manager"
        )

    def _group(self, one: Object) -> None:
        spec, name = one["spec"], one["metadata"]["name"]
        parts = spec["leaderWorkerTemplate"]
        size, wanted = parts.get("size", 1), spec.get("replicas", 1)
        digest = _digest(parts)
        pods = self._children(one)
        for pod in list(pods):
            labels = pod["metadata"]["labels"]
            if (
                int(labels[f"{LWS}/group-index"]) >= wanted
                or labels[f"{LWS}/template-revision-hash"] != digest
            ):
                self.store.delete(_key(pod))
                pods.remove(pod)
        there = {pod["metadata"]["name"] for pod in pods}
        for index in range(wanted):
            for rank in range(size):
                pod_name = f"{name}-{index}" + (f"-{rank}" if rank else "")
                if pod_name in there:
                    continue
                template = parts[
                    "leaderTemplate" if rank == 0 and "leaderTemplate" in parts else "workerTemplate"
                ]
                labels = {
                    f"{LWS}/name": name,
                    f"{LWS}/group-index": str(index),
                    f"{LWS}/worker-index": str(rank),
                    f"{LWS}/template-revision-hash": digest,
                }
                try:
                    pods.append(self._make(one, template, pod_name, labels, exact=True))
                except Refused as error:
                    self._refused({**one, "kind": "StatefulSet"}, error.message)
        groups = [
            [p for p in pods if p["metadata"]["labels"][f"{LWS}/group-index"] == str(i)]
            for i in range(wanted)
        ]
        ready = sum(len(group) == size and all(map(is_ready, group)) for group in groups)
        self.store.status(
            _key(one),
            replicas=wanted,
            readyReplicas=ready,
            updatedReplicas=wanted,
            observedGeneration=one["metadata"]["generation"],
        )

    def _job(self, one: Object) -> None:
        pods = self._children(one)
        if not pods and not one["spec"].get("suspend"):
            name = one["metadata"]["name"]
            try:
                self._make(one, one["spec"]["template"], f"{name}-", {"job-name": name})
            except Refused as error:
                self._refused(one, error.message)
                return
            self.store.status(_key(one), active=1, startTime=now())
            return
        phase = pods[0].get("status", {}).get("phase") if pods else ""
        if phase == "Succeeded":
            done = {"type": "Complete", "status": "True", "reason": "CompletionsReached", "message": ""}
            self.store.status(_key(one), active=0, succeeded=1, conditions=[done])
        elif phase == "Failed":
            failed = {
                "type": "Failed",
                "status": "True",
                "reason": "BackoffLimitExceeded",
                "message": "Job has reached the specified backoff limit",
            }
            self.store.status(_key(one), active=0, failed=1, conditions=[failed])

    def _hpa(self, hpa: Object) -> None:
        target = hpa["spec"]["scaleTargetRef"]
        key = (target["kind"], hpa["metadata"]["namespace"], target["name"])
        there = self.store.objects.get(key)
        if there is None:
            return
        low = hpa["spec"].get("minReplicas", 1)
        current = there["spec"].get("replicas", 1)
        if current < low and self.hpa_moves:
            self.store.put(
                key, {**there, "spec": {**there["spec"], "replicas": low}}, "kube-controller-manager"
            )
        self.store.status(
            _key(hpa),
            currentReplicas=current,
            desiredReplicas=max(low, current),
            currentMetrics=None,
            conditions=[
                {"type": "AbleToScale", "status": "True", "reason": "SucceededGetScale", "message": ""},
                {
                    "type": "ScalingActive",
                    "status": "False",
                    "reason": "FailedGetPodsMetric",
                    "message": f"unable to get metric: {self.hpa_says}",
                },
            ],
        )

    def _children(self, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        pods = self.store.list("Pod", owner["metadata"]["namespace"])
        return [p for p in pods if any(o["uid"] == uid for o in p["metadata"].get("ownerReferences", ()))]

    def _make(
        self, owner: Object, template: Any, name: str, labels: dict[str, str], *, exact: bool = False
    ) -> Object:
        meta = deepcopy(template.get("metadata", {}))
        meta |= {"name": name} if exact else {"generateName": name}
        meta["labels"] = {**meta.get("labels", {}), **labels}
        meta["ownerReferences"] = [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ]
        return self.store.create(
            BY_KIND["Pod"],
            owner["metadata"]["namespace"],
            {"metadata": meta, "spec": deepcopy(template["spec"])},
        )

    def _pod(self, pod: Object) -> None:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return
        if not pod["spec"].get("nodeName"):
            self._schedule(pod)
            return
        notes = pod["metadata"].get("annotations", {})
        age = self._age(pod)
        starts = float(notes.get("fake/start-seconds", 0.05))
        ready = starts + float(notes.get("fake/ready-seconds", 0.05))
        fault = notes.get("fake/fault")
        image = pod["spec"]["containers"][0]["image"]
        if fault in FAULTS and age > starts:
            self._fault(pod, fault, image)
        elif age <= starts:
            self._tell(pod, "Pulling", f'Pulling image "{image}"', source="kubelet")
            self._running(pod, {"waiting": {"reason": "ContainerCreating"}}, "Pending", ready=False)
        else:
            self._run(pod, age, starts, ready, never=fault == "NeverReady")

    def _run(self, pod: Object, age: float, starts: float, ready: float, *, never: bool) -> None:
        notes, meta = pod["metadata"].get("annotations", {}), pod["metadata"]
        self.logs[(meta["namespace"], meta["name"])] = notes.get("fake/log", "")
        job = any(o["kind"] == "Job" for o in meta.get("ownerReferences", ()))
        run = notes.get("fake/run-seconds", "0.1" if job else None)
        if run is not None and age > starts + float(run):
            code = int(notes.get("fake/exit-code", 0))
            if job:
                state = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}
                self._running(pod, state, "Succeeded" if code == 0 else "Failed", ready=False)
                return
            self._fault(pod, "CrashLoopBackOff", "", code)
            return
        self._tell(pod, "Started", "Started container engine", source="kubelet")
        self._running(
            pod, {"running": {"startedAt": now()}}, "Running", ready=age > ready and not never and not job
        )

    def _fault(self, pod: Object, fault: str, image: str, code: int = 1) -> None:
        how, reason, message = FAULTS[fault]
        text = message.format(image=image)
        last: dict[str, Any] = {}
        if fault == "OOMKilled":
            last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
        elif fault == "CrashLoopBackOff":
            last = {"terminated": {"exitCode": code, "reason": "Error"}}
        if fault == "ImagePullBackOff":
            self._tell(
                pod, "Failed", f'Failed to pull image "{image}": not found', "Warning", "kubelet", AGAIN
            )
        if last:
            self._tell(
                pod,
                "BackOff",
                f"Back-off restarting failed container in pod {pod['metadata']['name']}",
                "Warning",
                "kubelet",
                AGAIN,
            )
        restarts = min(5, 1 + int(self._age(pod))) if last else 0
        notes, meta = pod["metadata"].get("annotations", {}), pod["metadata"]
        self.logs[(meta["namespace"], meta["name"])] = notes.get("fake/log", "")
        phase = "Running" if last else "Pending"
        self._running(
            pod, {how: {"reason": reason, "message": text}}, phase, ready=False, last=last, restarts=restarts
        )

    def _running(
        self,
        pod: Object,
        state: dict[str, Any],
        phase: str,
        *,
        ready: bool,
        last: dict[str, Any] | None = None,
        restarts: int = 0,
    ) -> None:
        old = pod.get("status", {}).get("containerStatuses", [{}])[0].get("state", {})
        if "running" in state and "running" in old:
            state = old
        container = pod["spec"]["containers"][0]
        status = {
            "name": container["name"],
            "image": container["image"],
            "ready": ready,
            "restartCount": restarts,
            "state": state,
            "lastState": last or {},
        }
        conditions = [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": str(ready), "lastTransitionTime": self._turned(pod, ready)},
        ]
        self.store.status(
            _key(pod), phase=phase, conditions=conditions, containerStatuses=[status], podIP="10.0.0.1"
        )

    def _turned(self, pod: Object, ready: bool) -> str:
        """When its Ready condition became what it is."""
        for one in pod.get("status", {}).get("conditions", ()):
            if one["type"] == "Ready" and one["status"] == str(ready) and "lastTransitionTime" in one:
                return str(one["lastTransitionTime"])
        return now()

    def _schedule(self, pod: Object) -> None:
        for volume in pod["spec"].get("volumes", ()):
            name = volume.get("persistentVolumeClaim", {}).get("claimName")
            claim = (
                self.store.objects.get(("PersistentVolumeClaim", pod["metadata"]["namespace"], name))
                if name
                else None
            )
            if name and (claim is None or claim.get("status", {}).get("phase") != "Bound"):
                text = (
                    f'persistentvolumeclaim "{name}" not found'
                    if claim is None
                    else "pod has unbound immediate PersistentVolumeClaims"
                )
                self._unschedulable(pod, text)
                return
        nodes = self.store.list("Node")
        wrong: dict[str, int] = {}
        for node in nodes:
            why = self._unfit(pod, node)
            if why is None:
                self.store.event(
                    pod,
                    "Scheduled",
                    f"Successfully assigned {pod['metadata']['namespace']}/{pod['metadata']['name']} to "
                    f"{node['metadata']['name']}",
                    source="scheduler",
                )
                self.store.put(
                    _key(pod), {**pod, "spec": {**pod["spec"], "nodeName": node["metadata"]["name"]}}
                )
                self.begun[pod["metadata"]["uid"]] = time.monotonic()
                return
            wrong[why] = wrong.get(why, 0) + 1
        reasons = ", ".join(sorted(f"{count} {why}" for why, count in wrong.items()))
        text = f"0/{len(nodes)} nodes are available: {reasons}."
        self._unschedulable(
            pod,
            f"{text} no new claims to deallocate, preemption: 0/{len(nodes)} nodes are available: "
            f"{self._victims(pod, nodes)}.",
        )

    def _victims(self, pod: Object, nodes: list[Object]) -> str:
        """What preemption says: it could help where an empty node would do."""
        asked = requested(pod)
        full = [
            one
            for one in nodes
            if "Insufficient" in (self._unfit(pod, one) or "")
            and all(
                int(one.get("status", {}).get("allocatable", {}).get(name, 0)) >= count
                for name, count in asked.items()
            )
        ]
        told = {
            "No preemption victims found for incoming pod": len(full),
            "Preemption is not helpful for scheduling": len(nodes) - len(full),
        }
        return ", ".join(sorted(f"{count} {why}" for why, count in told.items() if count))

    def _unschedulable(self, pod: Object, text: str) -> None:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
        self.store.status(_key(pod), phase="Pending", conditions=[condition])
        self._tell(pod, "FailedScheduling", text, "Warning", "default-scheduler", AGAIN)

    def _tell(
        self,
        pod: Object,
        reason: str,
        message: str,
        type_: str = "Normal",
        source: str = "",
        again: float | None = None,
    ) -> None:
        """An Event when it comes to that; what goes on counts up after `again` seconds, as a kubelet's
        back-off has it."""
        key, at = (pod["metadata"]["uid"], reason, message), time.monotonic()
        last = self.told.get(key)
        if last is None or (again is not None and (at - last) * self.speed > again):
            self.told[key] = at
            self.store.event(pod, reason, message, type_, source)

    def _unfit(self, pod: Object, node: Object) -> str | None:
        labels = node["metadata"].get("labels", {})
        if node.get("spec", {}).get("unschedulable"):
            return "node(s) were unschedulable"
        for taint in node.get("spec", {}).get("taints", ()):
            if not any(t.get("key") == taint["key"] for t in pod["spec"].get("tolerations", ())):
                return "node(s) had untolerated taint(s)"
        if any(labels.get(k) != v for k, v in pod["spec"].get("nodeSelector", {}).items()):
            return "node(s) didn't match Pod's node affinity/selector"
        free = dict(node.get("status", {}).get("allocatable", {}))
        others = [p for p in self.store.list("Pod") if p["spec"].get("nodeName") == node["metadata"]["name"]]
        for name, asked in requested(pod).items():
            if "/" in name:
                used = sum(
                    requested(p).get(name, 0)
                    for p in others
                    if p.get("status", {}).get("phase") not in ("Succeeded", "Failed")
                )
                if int(free.get(name, 0)) - used < asked:
                    return f"Insufficient {name}"
        return None


def _digest(template: Any) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:9]


def _key(body: Object) -> tuple[str, str, str]:
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]
