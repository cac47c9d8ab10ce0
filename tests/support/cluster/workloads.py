"""What keeps pods in the double: Deployments through rollouts, LeaderWorkerSets in groups, Jobs to their
end."""

from typing import Any

from tests.support.cluster.kinds import BY_KIND
from tests.support.cluster.pods import is_ready
from tests.support.cluster.store import Object, Refused, now
from tests.support.cluster.world import Controller, digest_of, key_of

REVISION = "deployment.kubernetes.io/revision"
LWS = "leaderworkerset.sigs.k8s.io"


class Deployments(Controller):
    """Pods of the newest template, as many as are wanted."""

    def step(self, one: Object) -> None:
        """Removes what may go, makes what is missing, and says how it stands."""
        wanted, digest = one["spec"].get("replicas", 1), digest_of(one["spec"]["template"])
        self._replica_set(one, digest)
        pods = self.world.children(one)
        new = self._thinned(one, pods, digest)
        refused = self._filled(one, pods, new, digest)
        ready = sum(map(is_ready, pods))
        self.store.status(
            key_of(one),
            observedGeneration=one["metadata"]["generation"],
            replicas=len(pods),
            updatedReplicas=len(new),
            readyReplicas=ready,
            availableReplicas=ready,
            unavailableReplicas=max(0, wanted - ready),
            conditions=_conditions(one["spec"], ready >= wanted - _rolling(one)[1], refused),
        )

    def _thinned(self, one: Object, pods: list[Object], digest: str) -> list[Object]:
        """Takes away pods of older templates and those over the count, ready ones only where enough others
        serve. Returns those of the newest template."""
        wanted, least = one["spec"].get("replicas", 1), one["spec"].get("replicas", 1) - _rolling(one)[1]
        new = [p for p in pods if p["metadata"]["labels"]["pod-template-hash"] == digest]
        old = [p for p in pods if p not in new]
        for pod in (*sorted(old, key=is_ready), *new[wanted:]):
            if not is_ready(pod) or sum(map(is_ready, pods)) > least:
                self.store.delete(key_of(pod))
                pods.remove(pod)
        return new[:wanted]

    def _filled(self, one: Object, pods: list[Object], new: list[Object], digest: str) -> str:
        """Makes what is missing; why not, where a pod is not admitted."""
        wanted, surge = one["spec"].get("replicas", 1), _rolling(one)[0]
        name, space = f"{one['metadata']['name']}-{digest}", one["metadata"]["namespace"]
        while len(new) < wanted and len(pods) < wanted + surge:
            try:
                pod = self.world.make(one, one["spec"]["template"], f"{name}-", {"pod-template-hash": digest})
            except Refused as error:
                self.world.refused(self.store.objects[("ReplicaSet", space, name)], error.message)
                return error.message
            new.append(pod)
            pods.append(pod)
        return ""

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
            key_of(one), {**one, "metadata": {**meta, "annotations": notes}}, "kube-controller-manager"
        )


def _rolling(one: Object) -> tuple[int, int]:
    """How many more, and how many less, a rollout may have."""
    rolling = one["spec"].get("strategy", {}).get("rollingUpdate", {})
    return int(rolling.get("maxSurge", 1)), int(rolling.get("maxUnavailable", 0))


def _conditions(spec: dict[str, Any], available: bool, refused: str) -> list[dict[str, str]]:
    out = [
        {
            "type": "Available",
            "status": str(available),
            "reason": "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
            "message": f"Deployment {'has' if available else 'does not have'} minimum availability.",
        }
    ]
    if refused:
        out.append({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused})
    if spec.get("paused"):
        out.append(
            {
                "type": "Progressing",
                "status": "Unknown",
                "reason": "DeploymentPaused",
                "message": "Deployment is paused",
            }
        )
    return out


class Groups(Controller):
    """LeaderWorkerSets: so many groups of one leader and its workers."""

    def step(self, one: Object) -> None:
        """Removes pods of older templates, makes what is missing, and says how many groups are whole."""
        parts = one["spec"]["leaderWorkerTemplate"]
        size, wanted, digest = parts.get("size", 1), one["spec"].get("replicas", 1), digest_of(parts)
        pods = self.world.children(one)
        for pod in list(pods):
            labels = pod["metadata"]["labels"]
            late = int(labels[f"{LWS}/group-index"]) >= wanted
            if late or labels[f"{LWS}/template-revision-hash"] != digest:
                self.store.delete(key_of(pod))
                pods.remove(pod)
        there = {pod["metadata"]["name"] for pod in pods}
        for index in range(wanted):
            for rank in range(size):
                if _rank_name(one, index, rank) not in there:
                    pods += self._made(one, index, rank, digest)
        groups = [
            [p for p in pods if p["metadata"]["labels"][f"{LWS}/group-index"] == str(i)]
            for i in range(wanted)
        ]
        self.store.status(
            key_of(one),
            replicas=wanted,
            readyReplicas=sum(len(group) == size and all(map(is_ready, group)) for group in groups),
            updatedReplicas=wanted,
            observedGeneration=one["metadata"]["generation"],
        )

    def _made(self, one: Object, index: int, rank: int, digest: str) -> list[Object]:
        """The pod of a rank; none, where it is not admitted."""
        parts = one["spec"]["leaderWorkerTemplate"]
        leads = rank == 0 and "leaderTemplate" in parts
        labels = {
            f"{LWS}/name": one["metadata"]["name"],
            f"{LWS}/group-index": str(index),
            f"{LWS}/worker-index": str(rank),
            f"{LWS}/template-revision-hash": digest,
        }
        template = parts["leaderTemplate" if leads else "workerTemplate"]
        try:
            return [self.world.make(one, template, _rank_name(one, index, rank), labels, exact=True)]
        except Refused as error:
            self.world.refused({**one, "kind": "StatefulSet"}, error.message)
            return []


def _rank_name(one: Object, index: int, rank: int) -> str:
    return f"{one['metadata']['name']}-{index}" + (f"-{rank}" if rank else "")


class Jobs(Controller):
    """One pod each, whose end is the Job's."""

    def step(self, one: Object) -> None:
        """Makes the pod, or says how it has ended."""
        pods = self.world.children(one)
        if not pods and not one["spec"].get("suspend"):
            name = one["metadata"]["name"]
            try:
                self.world.make(one, one["spec"]["template"], f"{name}-", {"job-name": name})
            except Refused as error:
                self.world.refused(one, error.message)
                return
            self.store.status(key_of(one), active=1, startTime=now())
            return
        phase = pods[0].get("status", {}).get("phase") if pods else ""
        if phase == "Succeeded":
            done = {"type": "Complete", "status": "True", "reason": "CompletionsReached", "message": ""}
            self.store.status(key_of(one), active=0, succeeded=1, conditions=[done])
        elif phase == "Failed":
            failed = {
                "type": "Failed",
                "status": "True",
                "reason": "BackoffLimitExceeded",
                "message": "Job has reached the specified backoff limit",
            }
            self.store.status(key_of(one), active=0, failed=1, conditions=[failed])
