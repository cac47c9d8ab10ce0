"""The scheduler of the double: a pod's node is the first that has what it requests."""

import time

from tests.support.cluster.pods import requested
from tests.support.cluster.store import Object
from tests.support.cluster.world import AGAIN, Controller, key_of


class Scheduler(Controller):
    """What no node fits says so, as the real one does."""

    def step(self, pod: Object) -> None:
        """Binds a pod, or says why not."""
        if (missing := self._missing_claim(pod)) is not None:
            self._unschedulable(pod, missing)
            return
        nodes = self.store.list("Node")
        wrong: dict[str, int] = {}
        for node in nodes:
            why = self._unfit(pod, node)
            if why is None:
                self._bind(pod, node["metadata"]["name"])
                return
            wrong[why] = wrong.get(why, 0) + 1
        reasons = ", ".join(sorted(f"{count} {why}" for why, count in wrong.items()))
        self._unschedulable(
            pod,
            f"0/{len(nodes)} nodes are available: {reasons}. no new claims to deallocate, preemption: "
            f"0/{len(nodes)} nodes are available: {self._victims(pod, nodes)}.",
        )

    def _missing_claim(self, pod: Object) -> str | None:
        """What the scheduler says of a pod whose claims are not bound."""
        for volume in pod["spec"].get("volumes", ()):
            name = volume.get("persistentVolumeClaim", {}).get("claimName")
            if not name:
                continue
            claim = self.store.objects.get(("PersistentVolumeClaim", pod["metadata"]["namespace"], name))
            if claim is None:
                return f'persistentvolumeclaim "{name}" not found'
            if claim.get("status", {}).get("phase") != "Bound":
                return "pod has unbound immediate PersistentVolumeClaims"
        return None

    def _bind(self, pod: Object, node: str) -> None:
        meta = pod["metadata"]
        said = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self.store.event(pod, "Scheduled", said, source="scheduler")
        self.store.put(key_of(pod), {**pod, "spec": {**pod["spec"], "nodeName": node}})
        self.world.begun[meta["uid"]] = time.monotonic()

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
        self.store.status(key_of(pod), phase="Pending", conditions=[condition])
        self.world.tell(pod, "FailedScheduling", text, "Warning", "default-scheduler", AGAIN)

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
