"""A fleet in a cluster: the same verbs as on this machine, by the same loop."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from stoker.catalog.rules import rule
from stoker.errors import NoSuchFleet, UsageError
from stoker.events import Event, Report, silent
from stoker.fleet.state import FleetState, Service
from stoker.fleet.target import Endpoint, LogLine
from stoker.operate.fleet import Fleet, check_count
from stoker.operate.plan import plan_cluster
from stoker.operate.stored import load_stored
from stoker.operate.wait import converge, limit
from stoker.spec import load
from stoker.spec.nouns import ServeSpec
from stoker.system import paths
from stoker.targets.kubernetes.client import FORBIDDEN, Api, Object
from stoker.targets.kubernetes.history import plain
from stoker.targets.kubernetes.pod_metrics import sampled
from stoker.targets.kubernetes.target import KubernetesTarget
from stoker.targets.kubernetes.workload import workloads
from stoker.units import Range

START_TIMEOUT = 3600.0


class ClusterFleet(Fleet):
    """A handle on one fleet of a cluster, named by its spec."""

    def __init__(self, spec: ServeSpec) -> None:
        super().__init__(spec.name)
        self.asked = spec
        self.target = KubernetesTarget(spec)

    def close(self) -> None:
        """Lets go of the connection to the cluster."""
        self.target.api.close()

    @property
    def spec(self) -> ServeSpec:
        """The spec of what runs now, whatever the file says since."""
        return self.running()

    @property
    def place(self) -> list[str]:
        """The words by which a command line names it."""
        context = self.asked.kubernetes.context
        there = ["--target", "kubernetes", "--fleet", self.name, "--namespace", self.target.namespace]
        return [*there, "--context", context] if context else there

    @property
    def history(self) -> Path:
        """The file of its figures."""
        target = self.target
        return paths.watched(f"{target.api.context}.{target.namespace}.{target.name}")

    @property
    def url(self) -> str:
        """The endpoint's base URL inside the cluster, without `/v1`; `endpoint()` leads in from here."""
        return f"http://{self.name}.{self.target.namespace}:{self.asked.endpoint.port}"

    def status(self) -> FleetState:
        """What runs now, with each replica's own figures. Raises: NoSuchFleet."""
        state = self._seen()
        return sampled(self.target.api, self.target.namespace, state) if state.replicas else state

    def _seen(self) -> FleetState:
        """The same by what the API server alone knows."""
        state = self.target.observe()
        if state.endpoint is None and not state.replicas:
            return self._half(state)
        return state

    def _half(self, state: FleetState) -> FleetState:
        """The state of a fleet that has objects and no workload: what a first `up` waits with, or left
        behind."""
        left, last = self.target.left(), self.target.claim.last()
        if not left and (last is None or not last.holder):
            if any(one.reason == "FinalizerHolds" for one in state.evidence):
                return replace(state, stopping=True)
            raise self._none()
        there = f"{', '.join(left) or 'nothing'} {'is' if len(left) < 2 else 'are'} there, no replicas yet"
        begun = f"; left by {last}, begun {last.at}" if last else ""
        detail = f"{there}{begun}: `stoker up` goes on, `stoker down` takes it away"
        since = last.since if last else state.at
        made = Service("objects", "Starting", since, detail=there)
        if last is None or not last.holder:
            cause = rule("why-half-made").finding(left=f"{there}{begun}")
            made = Service("objects", "Failed", since, last_error=detail, cause=cause)
        asked = load_stored(last.wanted).replicas.low if last and last.wanted else self.asked.replicas.low
        return replace(state, wanted=asked, services=(made, *state.services))

    def _none(self) -> NoSuchFleet:
        return NoSuchFleet(
            f"no fleet {self.name} is in {self.target.namespace} of {self.target.api.context}",
            why="no Deployment and no LeaderWorkerSet of that name is Stoker's",
            fix="`stoker up` starts it, or name its namespace: -n",
        )

    def scale(
        self, replicas: int, *, rebind: bool = True, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Runs so many replicas and returns when they are ready. Raises: UsageError, where an HPA moves them.

        rebind: of a fleet on one machine, whose replicas share its cores; here each has its own.
        """
        check_count(replicas)
        self._seen()
        spec = self.running()
        if not spec.replicas.fixed:
            metrics = spec.scaling.metrics if spec.scaling else ()
            raise UsageError(
                f"an HPA moves the replicas of {self.name}",
                why=f"replicas: {spec.replicas}, on {', '.join(metrics)}",
                fix="another range in the file, and `stoker up`",
                rule="hpa-scales",
            )
        return self._led("scale", replace(spec, replicas=Range(replicas, replicas)), report, timeout)

    def _led(self, verb: str, spec: ServeSpec, report: Report, timeout: float | None) -> FleetState:
        """The fleet, as a spec has it that the cluster kept: with the keys that are there."""
        self.target.keys_stay, self.target.force = True, self.conflicts.force
        plan, seconds = plan_cluster(spec), limit(timeout, START_TIMEOUT)
        with self.target.changing(
            verb, report, wanted=spec, over=self.conflicts.take_over, ask=self.conflicts.ask
        ):
            return converge(self.target, plan, report, seconds)

    def running(self) -> ServeSpec:
        """The spec of what runs now, whatever the file says since. Raises: UsageError, where nobody kept
        it."""
        if not self.target.history.differs(self.asked):
            return self.asked
        found = self.target.history.running()
        if found is None:
            raise UsageError(
                f"{self.name} runs another spec than this one, which was never ready",
                why="only a spec that was ready is kept",
                fix="`stoker up` applies the file",
                rule="fleet-differs",
            )
        return load_stored(found)

    def restart(self, report: Report = silent, timeout: float | None = None) -> FleetState:
        """Replaces every replica, as the rollout strategy says."""
        state, spec = self._seen(), self.running()
        self.target.restarting()
        return self._led("restart", _counted(spec, state), report, timeout)

    def rollback(
        self, revision: int | None = None, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Goes back to the newest other revision that was ready, or to a number; its weights are still there.

        It keeps the number of replicas, whoever set it, and replaces them as the rollout strategy says.
        Raises: UsageError, where none is kept.
        """
        before = self._seen()
        found = self.target.history.before(revision)
        spec = _counted(load_stored(found.spec), before)
        report(Event("rollback", f"to revision {found.number}"))
        state = self._led("rollback", spec, report, timeout)
        record(self.target, spec, report)
        return state

    def down(
        self,
        report: Report = silent,
        timeout: float | None = None,
        *,
        now: bool = False,
        weights: bool = False,
    ) -> None:
        """Takes it away; claims and snapshots that hold weights stay, unless the target was told otherwise.

        Each pod finishes its requests first, for as long as its grace period says.
        """
        if now:
            raise UsageError(
                "--now is for fleets of this machine",
                why="in a cluster each pod drains as its grace period says",
                fix="leave it out; drain_timeout in the file is the grace",
                rule="down-now",
            )
        self.target.weights = weights
        seconds = timeout or float(self.asked.drain_timeout) + 120.0
        with self.target.changing("down", report, over=self.conflicts.take_over, ask=self.conflicts.ask):
            converge(self.target, None, report, seconds)

    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of its pods' logs; previous: of the life before each container's last restart. Raises:
        NoSuchFleet; UsageError, where this user may not read them."""
        if not self.target.api.list("Pod", self.target.namespace, self.target.selector):
            self._seen()
        return self.target.logs(replica, follow, previous)

    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """URL, model and key, through a port-forward while it is needed."""
        return self.target.endpoint()


def connect_cluster(
    name: str | None, namespace: str | None = None, context: str | None = None
) -> ClusterFleet:
    """The fleet of that name, by what the cluster keeps of it; the only one of the namespace, where none is
    named.

    A named one may not be there: its `status` says so. Raises: NoSuchFleet, where none is named; UsageError,
    EnvironmentFailed, where the cluster cannot be asked.
    """
    place = [f"kubernetes.namespace={namespace}"] if namespace else []
    place += [f"kubernetes.context={context}"] if context else []
    asked = load("", "<command line>", ("target=kubernetes", f"name={name or 'any'}", *place))
    if name is None:
        found = names(Api(context), asked.kubernetes.namespace)
        if len(found) != 1:
            raise NoSuchFleet(
                f"which fleet of {asked.kubernetes.namespace}?"
                if found
                else f"no fleet is in {asked.kubernetes.namespace}",
                why=f"there are {', '.join(found)}"
                if found
                else "no Deployment and no LeaderWorkerSet there is Stoker's",
                fix="--name NAME"
                if found
                else "-n NAMESPACE, or -f FILE; `stoker status -A --target kubernetes` lists all",
            )
        asked = replace(asked, name=found[0])
    target = KubernetesTarget(asked)
    kept, last = target.history.running(), target.claim.last()
    kept = kept or (last.wanted if last else None)
    if kept:
        spec = load_stored(kept)
        asked = replace(
            spec, kubernetes=replace(spec.kubernetes, context=context, namespace=asked.kubernetes.namespace)
        )
    fleet = ClusterFleet(asked)
    fleet.target.stored = True
    return fleet


def every_fleet(context: str | None = None, namespace: str | None = None) -> tuple[FleetState, ...]:
    """The state of each fleet of a namespace, or of the whole cluster; of those included that a first `up`
    left half made."""
    spec, api = load("", "<command line>", ("target=kubernetes",)), Api(context)
    found = dict.fromkeys(_placed(one) for one in workloads(api, namespace))
    states = []
    for space, name in sorted({*found, *_claimed(api, namespace)}):
        there = replace(spec.kubernetes, context=context, namespace=space)
        fleet = ClusterFleet(replace(spec, name=name, kubernetes=there))
        with suppress(NoSuchFleet):  # of which only a claim is left
            states.append(fleet.target.observe() if (space, name) in found else fleet._seen())
    return tuple(states)


def _placed(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _claimed(api: Api, namespace: str | None) -> list[tuple[str, str]]:
    """Namespace and name of each fleet that somebody has claimed."""
    claims = api.visible("Lease", namespace, "app.kubernetes.io/managed-by=stoker")
    return [
        (one["metadata"]["namespace"], one["metadata"]["labels"]["app.kubernetes.io/instance"])
        for one in claims
    ]


def names(api: Api, namespace: str) -> list[str]:
    """The fleets of a namespace, those included of which a first `up` has made no more than a part."""
    found = [_placed(one) for one in workloads(api, namespace)]
    return sorted({name for _, name in (*found, *_claimed(api, namespace))})


def _counted(spec: ServeSpec, state: FleetState) -> ServeSpec:
    """The spec with the number of replicas that there is now, where nothing else moves that."""
    return replace(spec, replicas=Range(state.wanted, state.wanted)) if spec.replicas.fixed else spec


def record(target: KubernetesTarget, spec: ServeSpec, report: Report) -> None:
    """Keeps the spec for a way back; a fleet that is ready does not fail for that."""
    try:
        target.history.record(plain(spec))
    except UsageError as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        text = f"no way back to this is kept: {refused.finding.what}"
        report(Event("rollback", text, "warn", finding=refused.finding))
