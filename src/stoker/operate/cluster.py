"""A fleet in a cluster: the same verbs as on this machine, by the same loop."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from stoker.errors import Mistake, NoSuchFleet
from stoker.events import Event, Report, silent
from stoker.fleet.changes import Changes
from stoker.fleet.state import FleetState
from stoker.fleet.target import Endpoint, LogLine
from stoker.operate.fleet import load_stored
from stoker.operate.plan import plan_cluster
from stoker.operate.wait import converge
from stoker.planner.plan import Plan
from stoker.render.manifests import manifests
from stoker.spec.nouns import ServeSpec
from stoker.targets.kubernetes.target import KubernetesTarget
from stoker.units import Range

START_TIMEOUT = 3600.0
# What installs a kind that is not every cluster's.
INSTALLS = {
    "LeaderWorkerSet": "kubectl apply --server-side -f https://github.com/kubernetes-sigs/lws/releases/latest/download/manifests.yaml",
    "VolumeSnapshot": "GKE has it; elsewhere the CSI external-snapshotter; or weights: stream",
    "VolumeSnapshotClass": "GKE has it; elsewhere the CSI external-snapshotter; or weights: stream",
    "PodMonitoring": "switch managed Prometheus on, or --set kubernetes.metrics=prometheus (or none)",
    "PodMonitor": "install the Prometheus operator, or --set kubernetes.metrics=none",
    "Gateway": "switch the Gateway API on: gcloud container clusters update NAME --gateway-api=standard; or routing: service",
    "HTTPRoute": "switch the Gateway API on, as for Gateway",
    "InferencePool": "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api-inference-extension/releases/download/v1.0.1/manifests.yaml",
    "GCPBackendPolicy": "a GKE cluster with the Gateway API, or platform: plain",
    "HealthCheckPolicy": "a GKE cluster with the Gateway API, or platform: plain",
    "ComputeClass": "a GKE cluster of 1.30.3 or newer, or leave kubernetes.capacity out",
}


class ClusterFleet:
    """A handle on one fleet of a cluster, named by its spec."""

    def __init__(self, spec: ServeSpec) -> None:
        self.spec, self.name = spec, spec.name
        self.target = KubernetesTarget(spec)

    def status(self) -> FleetState:
        """What runs now. Raises: NoSuchFleet."""
        state = self.target.observe()
        if state.endpoint is None and not state.replicas:
            raise self._none()
        return state

    def _none(self) -> NoSuchFleet:
        return NoSuchFleet(
            f"no fleet {self.name} is in {self.target.namespace} of {self.target.api.context}",
            why="no Deployment and no LeaderWorkerSet of that name is Stoker's", fix="`stoker up` starts it, or name its namespace: -n",
        )  # fmt: skip

    def scale(
        self, count: int, *, rebind: bool = True, report: Report = silent, timeout: float = START_TIMEOUT
    ) -> FleetState:
        """Runs so many replicas and returns when they are ready. Raises: Mistake, where an HPA moves them."""
        if count < 0:
            raise Mistake(f"{count} replicas cannot be had", why="the count is negative", fix="0 or more")
        if not self.spec.replicas.fixed:
            raise Mistake(
                f"an HPA moves the replicas of {self.name}", why=f"replicas: {self.spec.replicas}, on {', '.join(self.spec.scaling.metrics if self.spec.scaling else ())}",
                fix="another range in the file, and `stoker up`", rule="hpa-scales",
            )  # fmt: skip
        self.status()
        plan = plan_cluster(replace(self.spec, replicas=Range(count, count)))
        return converge(self.target, plan, report, timeout)

    def restart(self, report: Report = silent, timeout: float = START_TIMEOUT) -> FleetState:
        """Replaces every replica, as the rollout strategy says."""
        state = self.status()
        spec = (
            self.spec
            if not self.spec.replicas.fixed
            else replace(self.spec, replicas=Range(state.wanted, state.wanted))
        )
        return converge(self.target.restarting(), plan_cluster(spec), report, timeout)

    def rollback(
        self, number: int | None = None, report: Report = silent, timeout: float = START_TIMEOUT
    ) -> FleetState:
        """Goes back to the newest other revision that was ready, or to a number; its weights are still there.

        Raises: Mistake, where none is kept.
        """
        self.status()
        found = self.target.before(number)
        spec = load_stored(found.spec)
        report(Event("rollback", f"to revision {found.number}"))
        state = converge(self.target, plan_cluster(spec), report, timeout)
        self.target.record(spec)
        return state

    def down(self, report: Report = silent, timeout: float | None = None, now: bool = False) -> None:
        """Takes it away; claims and snapshots that hold weights stay, unless the target was told otherwise."""
        converge(self.target, None, report, timeout or float(self.spec.drain_timeout) + 120.0)

    def logs(self, replica: str | None = None, follow: bool = False) -> Iterator[LogLine]:
        """Lines of its engines' logs."""
        return self.target.logs(replica, follow)

    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """URL, model and key, through a port-forward while it is needed."""
        return self.target.endpoint()


def up_cluster(
    spec: ServeSpec, *, report: Report = silent, timeout: float = START_TIMEOUT, force: bool = False
) -> FleetState:
    """Brings a fleet up in its cluster and returns when it is ready; a second call does nothing.

    force takes fields out of other managers' hands. Raises: Mistake, WorldFailed, DoesNotFit, TimedOut.
    """
    target = KubernetesTarget(spec, force=force)
    target.api.version()
    plan = plan_cluster(spec)
    check(target, plan)
    state = converge(target, plan, report, timeout)
    target.record(spec)
    return state


def dry_run_cluster(spec: ServeSpec) -> Changes:
    """What `up` would do, field by field, without doing it."""
    target = KubernetesTarget(spec)
    target.api.version()
    plan = plan_cluster(spec)
    check(target, plan)
    return target.changes(plan)


def check(target: KubernetesTarget, plan: Plan) -> None:
    """Before anything is applied: does the cluster have what the plan needs, and may this user make it?

    Raises: Mistake, naming all that is missing.
    """
    kinds = list(dict.fromkeys(one.kind for one in manifests(plan)))
    missing = [kind for kind in kinds if kind in INSTALLS and not target.api.serves(kind)]
    if missing:
        raise Mistake(
            f"the cluster {target.api.context} has no {', '.join(missing)}", why="the definition is not installed",
            fix="; ".join(dict.fromkeys(INSTALLS[kind] for kind in missing)), rule="kube-missing",
        )  # fmt: skip
    denied = [
        (verb, kind) for kind in kinds for verb in ("create", "patch")
        if not target.api.allowed(verb, kind, target.namespace)
    ]  # fmt: skip
    if denied:
        from stoker.targets.kubernetes.kinds import RESOURCES

        rules = [
            f'{{apiGroups: ["{RESOURCES[kind].group}"], resources: ["{RESOURCES[kind].plural}"], verbs: ["get", "list", "create", "patch", "delete"]}}'
            for kind in dict.fromkeys(kind for _, kind in denied)
        ]
        raise Mistake(
            f"you may not {denied[0][0]} {RESOURCES[denied[0][1]].plural} in {target.namespace}",
            why="; ".join(f"{verb} {RESOURCES[kind].plural}" for verb, kind in denied),
            fix=f"a Role with {', '.join(rules)}, bound to you", rule="kube-forbidden",
        )  # fmt: skip
