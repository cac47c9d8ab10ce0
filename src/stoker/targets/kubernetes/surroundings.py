"""What stands around a fleet's pods, as far as it says why they are not there or not reached: looked at where
it may matter."""

from collections.abc import Sequence

from stoker.fleet.state import Evidence, Service
from stoker.render.manifests.choices import LOADS
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.targets.kubernetes import deletion, nodes, routes, volumes, workload, workload_conditions
from stoker.targets.kubernetes.client import Api, Object
from stoker.targets.kubernetes.pods import holds

NODES_SECONDS = 10.0  # a list of nodes is long, and changes slowly
# What may be kept by a finalizer while a fleet is taken down.
LEAVING = (
    "Deployment",
    "LeaderWorkerSet",
    "Service",
    "Gateway",
    "HTTPRoute",
    "InferencePool",
    "Job",
    "ScaledObject",
    "HorizontalPodAutoscaler",
    "AutoscalingMetric",
    "PersistentVolumeClaim",
    "VolumeSnapshot",
    "ServiceAccount",
    "Secret",
    "ConfigMap",
    "PodMonitoring",
    "PodMonitor",
    "NetworkPolicy",
    "PodDisruptionBudget",
)


class Around:
    """Nodes, claims, the way in, the namespace, and what is deleted and stays. One fleet's.

    inside: nothing is asked for that stands in no namespace.
    """

    inside = False

    def __init__(self, api: Api, spec: ServeSpec, selector: str) -> None:
        self._api, self._spec, self._selector = api, spec, selector
        self._name, self._namespace = spec.name, spec.kubernetes.namespace
        self._nodes: tuple[float, tuple[Object, ...]] = (0.0, ())

    def evidence(
        self,
        owner: Object | None,
        pods: Sequence[Object],
        services: Sequence[Object] | None,
        before: Sequence[Service],
        now: float,
    ) -> tuple[Evidence, ...]:
        """What is not as it should be. services: None, where they may not be listed."""
        jobs = tuple(one for one in self._visible("Job") if workload.component(one) not in LOADS)
        found = workload_conditions.evidence(self._owners(owner), jobs)
        found += nodes.evidence(
            pods, self._listed() if any(map(nodes.waits, pods)) and not self.inside else ()
        )
        found += self._volumes(before, now)
        if owner is not None and services is not None and not deletion.kept([owner]):
            found += routes.service(self._name, services, pods)
        if self._routed:
            found += routes.route_evidence(self._visible("Gateway"), self._visible("HTTPRoute"))
        if not self.inside and (
            owner is None or workload.count(owner) > sum(holds(one, "Ready") for one in pods)
        ):
            found += deletion.namespace(self._space())
        going = [one for one in pods if one["metadata"].get("deletionTimestamp")]
        stays = self.leaving() if (owner is None or deletion.kept([owner])) and not before else ()
        return found + deletion.evidence([*going, *stays], now)

    def claim(self) -> tuple[Service, ...]:
        """The claim that is made of the snapshot, as a stage."""
        return volumes.stage(self._visible("PersistentVolumeClaim"))

    def route(self) -> tuple[Service, ...]:
        """The Gateway and its route, where the fleet has them."""
        return routes.route(self._visible("Gateway"), self._visible("HTTPRoute")) if self._routed else ()

    def leaving(self) -> tuple[Object, ...]:
        """What is deleted and still there."""
        return tuple(one for kind in LEAVING for one in deletion.kept(self._visible(kind)))

    @property
    def _routed(self) -> bool:
        return self._spec.kubernetes.routing == "gateway-api"

    def _owners(self, owner: Object | None) -> tuple[Object, ...]:
        beside = f"{self._selector},app.kubernetes.io/component in (gateway,picker,page)"
        return (*([owner] if owner else ()), *self._api.visible("Deployment", self._namespace, beside))

    def _volumes(self, before: Sequence[Service], now: float) -> tuple[Evidence, ...]:
        """What nobody makes, where something of the weights waits."""
        if (
            self.inside
            or self._spec.kubernetes.weights in ("stream", "gcsfuse")
            or self._spec.kubernetes.disk.handle
        ):
            return ()
        claims = self._visible("PersistentVolumeClaim")
        taken = self._visible("VolumeSnapshot") if any(one.role == "snapshot" for one in before) else ()
        return volumes.unmade(self._api, claims, taken, now)

    def _listed(self) -> tuple[Object, ...]:
        """The nodes, as they were a moment ago; none, where this user may not list them."""
        if clock.monotonic() - self._nodes[0] > NODES_SECONDS or not self._nodes[1]:
            self._nodes = clock.monotonic(), self._api.visible("Node", None)
        return self._nodes[1]

    def _space(self) -> Object | None:
        return volumes.look(self._api, "Namespace", self._namespace)[1]

    def _visible(self, kind: str) -> tuple[Object, ...]:
        return self._api.visible(kind, self._namespace, self._selector)
