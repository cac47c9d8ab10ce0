"""What stands around workloads in the double: Gateways are taken on, HPAs and KEDA look at what they scale."""

from typing import Any

from tests.support.cluster.kinds import BY_KIND
from tests.support.cluster.store import Object, Refused
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
        if 0 < current < low and self.moves:  # one at 0 is left alone
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
                    "reason": f"FailedGet{hpa['spec']['metrics'][0]['type']}Metric",
                    "message": f"unable to get metric: {self.says}",
                },
            ],
        )


class Keda(Controller):
    """KEDA's operator and its webhook. run: whether the operator is there. conditions: what it says beside its
    Ready; failing: the triggers that fail, by their places."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.run = True
        self.conditions: list[dict[str, Any]] = []
        self.failing: list[int] = []
        self.store.admit.append(self._admit)

    def _admit(self, kind: str, body: Object) -> None:
        """Refuses a ScaledObject of what an HPA scales already that is not its own."""
        if kind != "ScaledObject":
            return
        meta, target = body["metadata"], body["spec"]["scaleTargetRef"]["name"]
        for hpa in self.store.list("HorizontalPodAutoscaler", meta["namespace"]):
            owners = [one["name"] for one in hpa["metadata"].get("ownerReferences", ())]
            if hpa["spec"]["scaleTargetRef"]["name"] == target and meta["name"] not in owners:
                said = (
                    f"admission webhook \"vscaledobject.kb.io\" denied the request: the workload '{target}' of "
                    f"type 'apps/v1.Deployment' is already managed by the hpa '{hpa['metadata']['name']}'"
                )
                raise Refused(403, "Forbidden", said)

    def step(self, one: Object) -> None:
        """One look: an HPA of its own, with its labels and annotations; its conditions."""
        if not self.run:
            return
        meta, spec = one["metadata"], one["spec"]
        name = f"keda-hpa-{meta['name']}"
        if ("HorizontalPodAutoscaler", meta["namespace"], name) not in self.store.objects:
            self.store.create(
                BY_KIND["HorizontalPodAutoscaler"], meta["namespace"], self._hpa(one, name), "keda"
            )
        bad = {f"s{place}-prometheus": {"status": "Failing", "numberOfFailures": 9} for place in self.failing}
        ready = {"type": "Ready", "status": "True", "reason": "ScaledObjectReady", "message": ""}
        told = {condition["type"] for condition in self.conditions}
        conditions = self.conditions + ([] if "Ready" in told else [ready])
        self.store.status(key_of(one), conditions=conditions, health=bad or None, hpaName=name)
        target = spec["scaleTargetRef"]
        key = (target["kind"], meta["namespace"], target["name"])
        there = self.store.objects.get(key)
        if there is not None and there["spec"].get("replicas", 1) < spec["minReplicaCount"]:
            body = {**there, "spec": {**there["spec"], "replicas": spec["minReplicaCount"]}}
            self.store.put(key, body, "keda")

    def _hpa(self, one: Object, name: str) -> Object:
        meta, spec = one["metadata"], one["spec"]
        owner = {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "name": meta["name"],
            "uid": meta["uid"],
        }
        metrics = [
            {
                "type": "External",
                "external": {
                    "metric": {"name": f"s{place}-prometheus"},
                    "target": {"type": "AverageValue", "averageValue": trigger["metadata"]["threshold"]},
                },
            }
            for place, trigger in enumerate(spec["triggers"])
        ]
        labels = {"app.kubernetes.io/managed-by": "keda-operator", **meta["labels"]}
        return {
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": meta.get("annotations", {}),
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": {
                "scaleTargetRef": spec["scaleTargetRef"],
                "minReplicas": max(1, spec["minReplicaCount"]),
                "maxReplicas": spec["maxReplicaCount"],
                "metrics": metrics,
            },
        }
