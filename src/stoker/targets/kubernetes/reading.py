"""One fleet's part of a namespace, as it is read: its objects and pods as one state."""

from stoker.errors import UsageError
from stoker.fleet.state import Evidence, FleetState, Service
from stoker.render.manifests.choices import LOADS
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.targets.kubernetes import (
    deletion,
    keda,
    metric_chain,
    probe_events,
    scalers,
    scaling,
    workload,
    workload_conditions,
)
from stoker.targets.kubernetes.client import FORBIDDEN, Api, Object
from stoker.targets.kubernetes.copying import Copying
from stoker.targets.kubernetes.pods import beside, conditions, evidence, replicas, unattended, unscheduled
from stoker.targets.kubernetes.surroundings import Around

REVISION = "deployment.kubernetes.io/revision"
LOG_LINES = 400
MANY_LINES = 8000  # tracebacks of every rank of a machine


class Reading:
    """What a target reads. copying remembers what a copy of the weights said."""

    def __init__(self, api: Api, spec: ServeSpec) -> None:
        self.api, self.spec, self.name, self.namespace = api, spec, spec.name, spec.kubernetes.namespace
        self.copying = Copying(api, self.name, self.namespace, self.selector)
        self.around = Around(api, spec, self.selector)

    @property
    def selector(self) -> str:
        """Labels of everything of the fleet."""
        return f"app.kubernetes.io/instance={self.name},app.kubernetes.io/managed-by=stoker"

    def workload(self) -> Object | None:
        """The Deployment or LeaderWorkerSet; None where there is none, or it is not Stoker's."""
        found = self.api.get("Deployment", self.namespace, self.name)
        groups = self.api.visible("LeaderWorkerSet", self.namespace, self.selector) if found is None else ()
        named = [found] if found else [one for one in groups if one["metadata"]["name"] == self.name]
        return next((one for one in named if workload.ours(one)), None)

    def observe(self) -> FleetState:
        """Pods, their owner and the warnings about them, as one value."""
        now, owner = clock.now(), self.workload()
        found = self.api.list("Pod", self.namespace, self.selector)
        everyone = tuple(one for one in found if workload.component(one) not in LOADS)
        pods = tuple(one for one in everyone if workload.component(one) == "engine")
        events = evidence(self.api.visible("Event", self.namespace), self.name, self._others())
        seen = probe_events.unready(replicas(pods, self._log, self._newest(owner), self._whole), events)
        before = self._stages() + self.beside()
        hpas = self.api.visible("HorizontalPodAutoscaler", self.namespace, self.selector)
        services = self._services()
        warnings = conditions(hpas) + unattended(owner, now) + unscheduled(everyone, now)
        warnings += self._scaling(hpas, everyone, events, now)
        warnings += self.around.evidence(owner, everyone, services, before, now)
        warnings += workload_conditions.over(owner, events)
        before += deletion.services(warnings, now)
        notes, ports = (owner["metadata"].get("annotations", {}) if owner else {}), _ports(services or ())
        return FleetState(
            self.name,
            f"kubernetes/{self.namespace}",
            now,
            revision=int(notes.get(REVISION) or (owner or {}).get("metadata", {}).get("generation", 0)),
            endpoint=self._endpoint(ports) if owner else None,
            model=workload.served(owner) or self.spec.model.served_name,
            wanted=workload.count(owner),
            replicas=seen,
            services=before,
            evidence=warnings,
            page=self._page(ports) if any(one.role == "page" for one in before) else None,
            stopping=bool(deletion.kept([owner])) if owner else bool(seen),
            scaling=scaling.read(hpas[0]) if hpas else None,
        )

    def _scaling(
        self, hpas: tuple[Object, ...], everyone: tuple[Object, ...], events: tuple[Evidence, ...], now: float
    ) -> tuple[Evidence, ...]:
        """What is broken between the fleet's metrics and what scales by them."""
        out = metric_chain.links(self.api, hpas[0], everyone, inside=self.around.inside) if hpas else ()
        if self.spec.kubernetes.scaler != "keda" and not any(map(scalers.kedas, hpas)):
            return out
        found = self.api.visible("ScaledObject", self.namespace, self.selector)
        return out + keda.evidence(found, events, now)

    def _page(self, ports: dict[str, int]) -> str:
        port = ports.get(f"{self.name}-page", page_port(self.spec))
        return f"http://{self.name}-page.{self.namespace}:{port}"

    def _endpoint(self, ports: dict[str, int]) -> str:
        """Where clients go: to the Gateway, once it has an address, else to the Service."""
        routed = self.spec.kubernetes.routing == "gateway-api"
        for gateway in self.api.visible("Gateway", self.namespace, self.selector) if routed else ():
            if addresses := gateway.get("status", {}).get("addresses"):
                listener = gateway["spec"]["listeners"][0]
                return f"{listener['protocol'].lower()}://{listener.get('hostname') or addresses[0]['value']}"
        return f"http://{self.name}.{self.namespace}:{ports.get(self.name, self.spec.endpoint.port)}"

    def _others(self) -> list[str]:
        """The namespace's other fleets, and what tests this one: their troubles are none of its own."""
        names = (one["metadata"]["name"] for one in workload.workloads(self.api, self.namespace))
        return [*(name for name in names if name != self.name), *(f"{self.name}-{one}" for one in LOADS)]

    def _services(self) -> tuple[Object, ...] | None:
        """Its Services; None, where this user may not list them."""
        try:
            return self.api.list("Service", self.namespace, self.selector)
        except UsageError as refused:
            if refused.finding.rule != FORBIDDEN:
                raise
            return None

    def _newest(self, owner: Object | None) -> str | None:
        """The template hash of the Deployment's newest ReplicaSet: pods of another one are about to go."""
        if owner is None or owner["kind"] != "Deployment":
            return None
        engines = f"{self.selector},app.kubernetes.io/component=engine"
        number = owner["metadata"].get("annotations", {}).get(REVISION)
        for one in self.api.visible("ReplicaSet", self.namespace, engines) if number else ():
            if one["metadata"].get("annotations", {}).get(REVISION) == number:
                return str(one["metadata"]["labels"].get("pod-template-hash", "")) or None
        return None

    def _stages(self) -> tuple[Service, ...]:
        """The copy and the snapshot of the weights, where the fleet has them."""
        if self.spec.kubernetes.weights not in (None, "disk") or self.spec.kubernetes.disk.handle:
            return ()
        found = self.copying.stages()
        return found + self.around.claim() if found else ()

    def beside(self) -> tuple[Service, ...]:
        """The gateway, the picker and the page, where the fleet has them."""
        picked = f"{self.selector},app.kubernetes.io/component in (gateway,picker,page)"
        found = self.api.list("Deployment", self.namespace, picked)
        roles = {str(one["metadata"]["labels"]["app.kubernetes.io/component"]): one for one in found}
        pods = self.api.list("Pod", self.namespace, picked) if found else ()
        return (*(beside(role, one, pods) for role, one in sorted(roles.items())), *self.around.route())

    def _log(self, pod: str) -> tuple[str, ...]:
        return self.api.log(self.namespace, pod, LOG_LINES)

    def _whole(self, pod: str) -> tuple[str, ...]:
        return self.api.log(self.namespace, pod, MANY_LINES)


def _ports(found: tuple[Object, ...]) -> dict[str, int]:
    """The first port of each of its Services."""
    return {one["metadata"]["name"]: int(one["spec"]["ports"][0]["port"]) for one in found}


def page_port(spec: ServeSpec) -> int:
    """The port of the page's Service."""
    return spec.endpoint.page_port or spec.endpoint.port + 1
