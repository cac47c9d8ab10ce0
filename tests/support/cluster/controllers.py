"""What the controllers and the kubelets of the double do, one step at a time: `Controllers.step()`.

Deployments keep pods through rollouts, LeaderWorkerSets keep groups, Jobs run to their end, claims bind,
snapshots become ready. A pod is scheduled where a node has what it requests, and then lives as its `fake/`
annotations say.
"""

from tests.support.cluster.kubelets import Kubelets
from tests.support.cluster.outer import Autoscalers, Gateways, Keda
from tests.support.cluster.scheduler import Scheduler
from tests.support.cluster.store import Object, Store
from tests.support.cluster.volumes import Volumes
from tests.support.cluster.workloads import Deployments, Groups, Jobs
from tests.support.cluster.world import World


class Controllers:
    """All controllers and kubelets. `speed` makes the seconds of annotations shorter."""

    def __init__(self, store: Store, speed: float = 1.0) -> None:
        world = World(store, speed)
        self.store = store
        self.volumes = Volumes(world)
        self.scheduler, self.kubelets = Scheduler(world), Kubelets(world)
        self.gateways, self.autoscalers = Gateways(world), Autoscalers(world)
        self.keda = Keda(world)
        self._keep: dict[str, Deployments | Groups | Jobs] = {
            "Deployment": Deployments(world),
            "LeaderWorkerSet": Groups(world),
            "Job": Jobs(world),
        }

    def step(self) -> None:
        """One round of everything."""
        with self.store.lock:
            for space in self.store.list("Namespace"):
                if "deletionTimestamp" in space["metadata"]:
                    self.store.sweep(space)
            for claim in self.store.list("PersistentVolumeClaim"):
                self.volumes.bind(claim)
            for snapshot in self.store.list("VolumeSnapshot"):
                self.volumes.snapshot(snapshot)
            for kind, controller in self._keep.items():
                for one in self.store.list(kind):
                    controller.step(one)
            for pod in self.store.list("Pod"):
                self._pod(pod)
            for claim in self.store.list("PersistentVolumeClaim"):
                self.volumes.attach(claim)
            for one in (*self.store.list("Gateway"), *self.store.list("HTTPRoute")):
                self.gateways.step(one)
            for one in self.store.list("ScaledObject"):
                self.keda.step(one)
            for hpa in self.store.list("HorizontalPodAutoscaler"):
                self.autoscalers.step(hpa)

    def _pod(self, pod: Object) -> None:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return
        if pod["spec"].get("nodeName"):
            self.kubelets.step(pod)
        else:
            self.scheduler.step(pod)
