"""A fleet in a cluster: the same verbs as on this machine, by the same loop."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

from stoker.advise.cluster import check_cluster
from stoker.errors import DoesNotFit, Mistake, NoSuchFleet, StateMoved, StokerError, TimedOut
from stoker.events import Event, Report, silent
from stoker.findings import Finding
from stoker.fleet.changes import Changes, Step
from stoker.fleet.state import FleetState, Service
from stoker.fleet.target import Endpoint, LogLine
from stoker.operate.bounded import bounded
from stoker.operate.fleet import load_stored
from stoker.operate.plan import plan_cluster
from stoker.operate.wait import converge, limit
from stoker.planner.plan import Plan
from stoker.render.gcloud import Call
from stoker.render.manifests import choose
from stoker.spec import load
from stoker.spec.nouns import ServeSpec
from stoker.system import clock
from stoker.targets.kubernetes.client import FORBIDDEN, Api
from stoker.targets.kubernetes.cloud import Cloud, step
from stoker.targets.kubernetes.facts import facts
from stoker.targets.kubernetes.figures import sampled
from stoker.targets.kubernetes.history import plain
from stoker.targets.kubernetes.target import KubernetesTarget
from stoker.targets.kubernetes.turn import Ask, nobody
from stoker.targets.kubernetes.workload import workloads
from stoker.units import Range

START_TIMEOUT = 3600.0
LEAST = 1.0  # seconds that the checks have, however short the deadline

Agree = Callable[[tuple[Step, ...]], bool]


class ClusterFleet:
    """A handle on one fleet of a cluster, named by its spec. Leaving a `with` block leaves the fleet running.

    over: another command that changes the fleet is not waited for; ask: says so when it is met.
    """

    ask: Ask

    def __init__(self, spec: ServeSpec) -> None:
        self.spec, self.name = spec, spec.name
        self.target = KubernetesTarget(spec)
        self.over, self.ask = False, nobody

    def __enter__(self) -> "ClusterFleet":
        return self

    def __exit__(self, *_: object) -> None:
        self.target.api.close()

    @property
    def url(self) -> str:
        """The endpoint's base URL inside the cluster, without `/v1`; `endpoint()` leads in from here."""
        return f"http://{self.name}.{self.target.namespace}:{self.spec.endpoint.port}"

    def status(self, *, figures: bool = False) -> FleetState:
        """What runs now; with the replicas' own figures, where they are asked for. Raises: NoSuchFleet."""
        state = self.target.observe()
        if state.endpoint is None and not state.replicas:
            return self._half(state)
        return sampled(self.target.api, self.target.namespace, state) if figures else state

    def _half(self, state: FleetState) -> FleetState:
        """The state of a fleet that has objects and no workload: what a first `up` waits with, or left behind."""
        left, last = self.target.left(), self.target.claim.last()
        if not left and (last is None or not last.holder):
            if any(one.reason == "FinalizerHolds" for one in state.signs):
                return replace(state, stopping=True)
            raise self._none()
        there = f"{', '.join(left) or 'nothing'} {'is' if len(left) < 2 else 'are'} there, no replicas yet"
        begun = f"; left by {last}, begun {last.at}" if last else ""
        detail = f"{there}{begun}: `stoker up` goes on, `stoker down` takes it away"
        goes = last is not None and bool(last.holder)
        made = Service("objects", "Starting" if goes else "Failed", last.since if last else state.at, detail=there if goes else "", last_words=None if goes else detail)  # fmt: skip
        asked = load_stored(last.wanted).replicas.low if last and last.wanted else self.spec.replicas.low
        return replace(state, wanted=asked, services=(made, *state.services))

    def _none(self) -> NoSuchFleet:
        return NoSuchFleet(
            f"no fleet {self.name} is in {self.target.namespace} of {self.target.api.context}",
            why="no Deployment and no LeaderWorkerSet of that name is Stoker's", fix="`stoker up` starts it, or name its namespace: -n",
        )  # fmt: skip

    def scale(
        self, count: int, *, rebind: bool = True, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Runs so many replicas and returns when they are ready. Raises: Mistake, where an HPA moves them.

        rebind: of a fleet on one machine, whose replicas share its cores; here each has its own.
        """
        if count < 0:
            raise Mistake(f"{count} replicas cannot be had", why="the count is negative", fix="0 or more")
        self.status()
        spec = self.running()
        if not spec.replicas.fixed:
            raise Mistake(
                f"an HPA moves the replicas of {self.name}", why=f"replicas: {spec.replicas}, on {', '.join(spec.scaling.metrics if spec.scaling else ())}",
                fix="another range in the file, and `stoker up`", rule="hpa-scales",
            )  # fmt: skip
        return self._led("scale", replace(spec, replicas=Range(count, count)), report, timeout)

    def _led(self, verb: str, spec: ServeSpec, report: Report, timeout: float | None) -> FleetState:
        """The fleet, as a spec has it that the cluster kept: with the keys that are there."""
        self.target.keys_stay = True
        plan, seconds = plan_cluster(spec), limit(timeout, START_TIMEOUT)
        with self.target.changing(verb, report, wanted=spec, over=self.over, ask=self.ask):
            return converge(self.target, plan, report, seconds)

    def running(self) -> ServeSpec:
        """The spec of what runs now, whatever the file says since. Raises: Mistake, where nobody kept it."""
        if not self.target.history.differs(self.spec):
            return self.spec
        found = self.target.history.running()
        if found is None:
            raise Mistake(
                f"{self.name} runs another spec than this one, which was never ready", why="only a spec that was ready is kept",
                fix="`stoker up` applies the file", rule="fleet-differs",
            )  # fmt: skip
        return load_stored(found)

    def restart(self, report: Report = silent, timeout: float | None = None) -> FleetState:
        """Replaces every replica, as the rollout strategy says."""
        state, spec = self.status(), self.running()
        self.target.restarting()
        return self._led("restart", _counted(spec, state), report, timeout)

    def rollback(
        self, number: int | None = None, report: Report = silent, timeout: float | None = None
    ) -> FleetState:
        """Goes back to the newest other revision that was ready, or to a number; its weights are still there.

        It keeps the number of replicas, whoever set it, and replaces them as the rollout strategy says. Raises: Mistake,
        where none is kept.
        """
        before = self.status()
        found = self.target.history.before(number)
        spec = _counted(load_stored(found.spec), before)
        report(Event("rollback", f"to revision {found.number}"))
        state = self._led("rollback", spec, report, timeout)
        _record(self.target, spec, report)
        return state

    def down(self, report: Report = silent, timeout: float | None = None) -> None:
        """Takes it away; claims and snapshots that hold weights stay, unless the target was told otherwise.

        Each pod finishes its requests first, for as long as its grace period says.
        """
        seconds = timeout or float(self.spec.drain_timeout) + 120.0
        with self.target.changing("down", report, over=self.over, ask=self.ask):
            converge(self.target, None, report, seconds)

    def logs(self, replica: str | None = None, follow: bool = False) -> Iterator[LogLine]:
        """Lines of its pods' logs. Raises: NoSuchFleet; Mistake, where this user may not read them."""
        if not self.target.api.list("Pod", self.target.namespace, self.target.selector):
            self.status()
        return self.target.logs(replica, follow)

    def endpoint(self) -> AbstractContextManager[Endpoint]:
        """URL, model and key, through a port-forward while it is needed."""
        return self.target.endpoint()


def connect_cluster(
    name: str | None, namespace: str | None = None, context: str | None = None
) -> ClusterFleet:
    """The fleet of that name, by what the cluster keeps of it; the only one of the namespace, where none is named.

    A named one may not be there: its `status` says so. Raises: NoSuchFleet, where none is named; Mistake, WorldFailed,
    where the cluster cannot be asked.
    """
    place = [f"kubernetes.namespace={namespace}"] if namespace else []
    place += [f"kubernetes.context={context}"] if context else []
    asked = load("", "<command line>", ("target=kubernetes", f"name={name or 'any'}", *place))
    if name is None:
        found = names(Api(context), asked.kubernetes.namespace)
        if len(found) != 1:
            raise NoSuchFleet(
                f"which fleet of {asked.kubernetes.namespace}?" if found else f"no fleet is in {asked.kubernetes.namespace}",
                why=f"there are {', '.join(found)}" if found else "no Deployment and no LeaderWorkerSet there is Stoker's",
                fix="--name NAME" if found else "-n NAMESPACE, or -f FILE; `stoker status -A --target kubernetes` lists all",
            )  # fmt: skip
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
    """The state of each fleet of a namespace, or of the whole cluster."""
    spec, api = load("", "<command line>", ("target=kubernetes",)), Api(context)
    return tuple(
        KubernetesTarget(
            replace(spec, name=one["metadata"]["name"], kubernetes=replace(spec.kubernetes, context=context, namespace=one["metadata"]["namespace"]))
        ).observe()
        for one in workloads(api, namespace)
    )  # fmt: skip


def names(api: Api, namespace: str) -> list[str]:
    """The fleets of a namespace, those included of which a first `up` has made no more than a part."""
    found = [one["metadata"]["name"] for one in workloads(api, namespace)]
    claims = api.visible("Lease", namespace, "app.kubernetes.io/managed-by=stoker")
    return sorted({*found, *(one["metadata"]["labels"]["app.kubernetes.io/instance"] for one in claims)})


def print_only(_: tuple[Step, ...]) -> bool:
    """An Agree that runs nothing outside of the cluster."""
    return False


def up_cluster(
    spec: ServeSpec, *, report: Report = silent, timeout: float | None = None, force: bool = False,
    agree: Agree = print_only, over: bool = False, ask: Ask = nobody,
) -> FleetState:  # fmt: skip
    """Brings a fleet up in its cluster and returns when it is ready; a second call does nothing.

    The checks before it are within the timeout. over: another command that changes the fleet is not waited for; ask says
    so when it is met. What a failed first `up` has made is named, and known to `status` and `down`.

    force takes fields out of other managers' hands. agree is shown the gcloud calls that are still to be made, and says
    whether to make them; where it does not, they are reported. Raises: Mistake, WorldFailed, DoesNotFit, TimedOut.
    """
    deadline = clock.monotonic() + limit(timeout, START_TIMEOUT)

    def checked(told: Report) -> tuple[KubernetesTarget, Plan, tuple[Call, ...]]:
        target, plan = _checked(spec, told, force)
        return target, plan, _outside(target, plan, told)

    seconds = max(LEAST, deadline - clock.monotonic())
    target, plan, pending = bounded(checked, report, seconds, f"the checks before {spec.name} is brought up")
    if pending and agree(tuple(map(step, pending))):
        target.calls = pending
    else:
        _by_hand(pending, report)
    there = target.workload() is not None
    with target.changing("up", report, wanted=spec, over=over, ask=ask):
        try:
            state = converge(target, plan, report, max(0.0, deadline - clock.monotonic()))
        except StokerError as error:
            raise _named(error, target, there) from None
    _record(target, spec, report)
    return state


def _named(error: StokerError, target: KubernetesTarget, there: bool) -> StokerError:
    """The error of a first `up`, with what it made until then; as it is, where the fleet was there, or is waited for."""
    if there or not target.made or isinstance(error, TimedOut | StateMoved):
        return error
    made = f"made in {target.namespace} before that: {', '.join(target.made)}"
    fix = f"{error.finding.fix}\nthen `stoker up` goes on; `stoker down` takes away what was made"
    return type(error)(replace(error.finding, why=f"{error.finding.why}\n{made}", fix=fix))


def _counted(spec: ServeSpec, state: FleetState) -> ServeSpec:
    """The spec with the number of replicas that there is now, where nothing else moves that."""
    return replace(spec, replicas=Range(state.wanted, state.wanted)) if spec.replicas.fixed else spec


def _record(target: KubernetesTarget, spec: ServeSpec, report: Report) -> None:
    """Keeps the spec for a way back; a fleet that is ready does not fail for that."""
    try:
        target.history.record(plain(spec))
    except Mistake as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        text = f"no way back to this is kept: {refused.finding.what}"
        report(Event("rollback", text, "warn", finding=refused.finding))


def dry_run_cluster(spec: ServeSpec, report: Report = silent) -> Changes:
    """What `up` would do, field by field, gcloud's calls included, without doing it."""
    target, plan = _checked(spec, report, force=False)
    target.calls = _outside(target, plan, report)
    changes = target.changes(plan)
    for subject, fields in target.others.items():
        if fields:
            report(Event(subject, f"others have set {', '.join(fields)}: `up` leaves it", "warn"))
    for subject, refused in target.rehearsal.refused.items():
        report(
            Event(subject, f"`up` will be refused: {refused.finding.what}", "fail", finding=refused.finding)
        )
    last = target.claim.other()
    if last is not None and changes.acting:
        report(Event("claim", f"{last} is changing the fleet since {last.at}: `up` would not", "warn"))
    return changes


def _outside(target: KubernetesTarget, plan: Plan, report: Report) -> tuple[Call, ...]:
    """gcloud's calls that can be made from here. Where they cannot, a fleet that is not there yet has them reported."""
    cloud = Cloud(choose(plan), target.api.context)
    if not cloud.missing:
        return cloud.pending()
    if target.workload() is None:
        report(Event("gcloud", cloud.missing, "warn"))
        _by_hand(cloud.all, report)
    return ()


def _by_hand(calls: tuple[Call, ...], report: Report) -> None:
    for call in calls:
        report(Event("gcloud", f"to be run by hand: {shlex.join(call.argv)}", "warn"))


def _checked(spec: ServeSpec, report: Report, force: bool) -> tuple[KubernetesTarget, Plan]:
    """The target and the plan, after the checks. Raises: Mistake, DoesNotFit, for what would keep it from coming up."""
    target = KubernetesTarget(spec, force=force)
    target.lifts = True
    target.api.version()
    plan = plan_cluster(spec)
    found = check_cluster(facts(target, plan), choose(plan))
    errors = [one for one in found if one.severity == "error"]
    if errors:
        for one in found:
            if one is not errors[0]:
                _tell(one, report)
        raise DoesNotFit(errors[0]) if errors[0].rule == "kube-quota" else Mistake(errors[0])
    if found and target.changes(plan).acting:  # who only waits, or asks again, has been told
        for one in found:
            _tell(one, report)
    return target, plan


def _tell(one: Finding, report: Report) -> None:
    report(Event("check", one.what, "fail" if one.severity == "error" else "warn", finding=one))
