"""What stands around workloads in the double: Gateways are taken on, HPAs look at what they scale."""

from tests.support.cluster.store import Object
from tests.support.cluster.world import Controller, World, key_of


class Gateways(Controller):
    """run: whether somebody takes them on."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.run = True

    def step(self, one: Object) -> None:
        """A Gateway or route as its controller takes it on; where none runs, as the API server defaults
        it."""
        names = ("Accepted", "Programmed") if one["kind"] == "Gateway" else ("Accepted", "ResolvedRefs")
        good = [{"type": name, "status": "True", "reason": name, "message": ""} for name in names]
        waits = [
            {"type": name, "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}
            for name in names
        ]
        if one["kind"] == "Gateway":
            self.store.status(key_of(one), conditions=good if self.run else waits)
        elif self.run:
            self.store.status(key_of(one), parents=[{"conditions": good}])


class Autoscalers(Controller):
    """moves: whether they bring what they scale to their minimum. says: why they have no metric."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.moves = True
        self.says = "no metrics returned from custom metrics API"

    def step(self, hpa: Object) -> None:
        """One look."""
        target = hpa["spec"]["scaleTargetRef"]
        key = (target["kind"], hpa["metadata"]["namespace"], target["name"])
        there = self.store.objects.get(key)
        if there is None:
            return
        low = hpa["spec"].get("minReplicas", 1)
        current = there["spec"].get("replicas", 1)
        if current < low and self.moves:
            self.store.put(
                key, {**there, "spec": {**there["spec"], "replicas": low}}, "kube-controller-manager"
            )
        self.store.status(
            key_of(hpa),
            currentReplicas=current,
            desiredReplicas=max(low, current),
            currentMetrics=None,
            conditions=[
                {"type": "AbleToScale", "status": "True", "reason": "SucceededGetScale", "message": ""},
                {
                    "type": "ScalingActive",
                    "status": "False",
                    "reason": "FailedGetPodsMetric",
                    "message": f"unable to get metric: {self.says}",
                },
            ],
        )
