"""The kubelets of the double: pods live as their `fake/` annotations say."""

from typing import Any

from tests.support.cluster.store import Object, now
from tests.support.cluster.world import AGAIN, Controller, World, key_of

FAULTS = {
    "ImagePullBackOff": ("waiting", "ImagePullBackOff", 'Back-off pulling image "{image}"'),
    "ContainerCreating": ("waiting", "ContainerCreating", ""),
    "CrashLoopBackOff": ("waiting", "CrashLoopBackOff", "back-off 10s restarting failed container"),
    "OOMKilled": ("waiting", "CrashLoopBackOff", "back-off 10s restarting failed container"),
}


class Kubelets(Controller):
    """logs: what each pod said so far, by namespace and name."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.logs: dict[tuple[str, str], str] = {}
        self.stamps: dict[tuple[str, str], list[str]] = {}

    def step(self, pod: Object) -> None:
        """What has become of a pod on its node, by the time that has passed."""
        notes = pod["metadata"].get("annotations", {})
        age = self.world.age(pod)
        starts = float(notes.get("fake/start-seconds", 0.05))
        ready = starts + float(notes.get("fake/ready-seconds", 0.05))
        fault = notes.get("fake/fault")
        image = pod["spec"]["containers"][0]["image"]
        if fault in FAULTS and age > starts:
            self._fault(pod, fault, image)
        elif age <= starts:
            self.world.tell(pod, "Pulling", f'Pulling image "{image}"', source="kubelet")
            self._running(pod, {"waiting": {"reason": "ContainerCreating"}}, "Pending", ready=False)
        else:
            self._run(pod, age, starts, ready, never=fault == "NeverReady")

    def lines(self, namespace: str, pod: str) -> list[tuple[str, str]]:
        """A pod's log by line, each with the time at which it was first seen."""
        lines = self.logs.get((namespace, pod), "").splitlines()
        stamps = self.stamps.setdefault((namespace, pod), [])
        stamps += [now(exactly=True)] * (len(lines) - len(stamps))
        return list(zip(stamps, lines, strict=False))

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
        self.world.tell(pod, "Started", "Started container engine", source="kubelet")
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
            self.world.tell(
                pod, "Failed", f'Failed to pull image "{image}": not found', "Warning", "kubelet", AGAIN
            )
        if last:
            self.world.tell(
                pod,
                "BackOff",
                f"Back-off restarting failed container in pod {pod['metadata']['name']}",
                "Warning",
                "kubelet",
                AGAIN,
            )
        restarts = min(5, 1 + int(self.world.age(pod))) if last else 0
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
            key_of(pod), phase=phase, conditions=conditions, containerStatuses=[status], podIP="10.0.0.1"
        )

    def _turned(self, pod: Object, ready: bool) -> str:
        """When its Ready condition became what it is."""
        for one in pod.get("status", {}).get("conditions", ()):
            if one["type"] == "Ready" and one["status"] == str(ready) and "lastTransitionTime" in one:
                return str(one["lastTransitionTime"])
        return now()
