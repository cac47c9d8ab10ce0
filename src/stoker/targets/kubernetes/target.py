"""KubernetesTarget: a namespace of a cluster as a place where a fleet runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stoker.errors import StokerError, UsageError
from stoker.events import Report, silent
from stoker.fleet.changes import Action, Changes, Step
from stoker.fleet.state import FleetState
from stoker.fleet.target import Endpoint, LogLine, Question, nobody
from stoker.planner.plan import Hardware, Plan
from stoker.render.gcloud import Call
from stoker.render.manifests.choices import LOADS
from stoker.spec.nouns import KeyRef, ServeSpec
from stoker.targets.kubernetes import cloud, deletion, history, logs, replica_count, secret
from stoker.targets.kubernetes.client import Object
from stoker.targets.kubernetes.comparison import Comparison, Put
from stoker.targets.kubernetes.inventory import OWNED, WEIGHTS, WORKLOADS
from stoker.targets.kubernetes.kinds import RESOURCES
from stoker.targets.kubernetes.lease import Turn
from stoker.targets.kubernetes.portforward import PortForward
from stoker.targets.kubernetes.reading import LOG_LINES
from stoker.targets.kubernetes.rehearsal import excused
from stoker.targets.kubernetes.workload import COMPONENT

SLOWEST = 1.0


class KubernetesTarget(Comparison):
    """One fleet in one namespace of one cluster.

    weights takes the claims and snapshots down too. stored: the spec came out of the cluster, so that its
    references to this machine's files and environment are not followed. made: what the verb that is at work
    has made.
    """

    def __init__(self, spec: ServeSpec, *, force: bool = False, weights: bool = False) -> None:
        super().__init__(spec, force=force)
        self.weights, self.stored = weights, False
        self.history = history.History(self._reading)
        self.made: list[str] = []
        self._changed = self._blocked = False
        self._new_space = ""
        self._looks = 0

    @property
    def interval(self) -> float:
        """Seconds between two looks: short at first, a second later on."""
        self._looks += 1
        return min(SLOWEST, 0.1 * 1.3**self._looks)

    def offer(self) -> Hardware:
        """What could run here: a cluster is asked, not searched."""
        return Hardware()

    def stay_inside(self) -> None:
        """Looks at nothing that stands outside of the namespace: for who has rights in it alone."""
        self._reading.around.inside = True

    def observe(self) -> FleetState:
        """Pods, their owner and the warnings about them, as one value."""
        return self._reading.observe()

    def restarting(self) -> "KubernetesTarget":
        """The same target, where the next changes replace every replica."""
        self._restart = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return self

    @contextmanager
    def changing(
        self,
        verb: str,
        report: Report = silent,
        *,
        wanted: ServeSpec | None = None,
        over: bool = False,
        ask: Question = nobody,
    ) -> Iterator[None]:
        """A verb that changes the fleet, with its claim to it: taken with the first change, given back at the
        end.

        wanted: the spec that it leads to. over, ask: as for a Turn.
        """
        self.api.verb = verb
        spec = history.plain(wanted) if wanted else None
        self.turn = Turn(self.claim, self.api, self.namespace, verb, spec, report=report, over=over, ask=ask)
        self._seen.clear()
        self.made.clear()
        self._changed = False
        try:
            yield
        finally:
            empty, self.turn = self.turn.before is None and not self._changed, None
            with suppress(StokerError):  # it runs out by itself
                self.claim.release(away=empty)

    def changes(self, plan: Plan | None) -> Changes:
        """The steps towards the plan. Raises: UsageError, where an object is not Stoker's.

        Raises: StateMoved, where somebody else changes the fleet, or took away what was there since this
        target looks. What the cluster would refuse is in `rehearsal`, and raised by `apply`.
        """
        self.rehearsal.refused.clear()
        if self.turn:
            self.turn.check()
        steps = self._down() if plan is None else self.towards(plan)
        whom = self.turn.blocked() if self.turn and steps else ""
        self._blocked = bool(whom)
        return Changes((Step("wait", whom, ""),)) if whom else Changes(steps)

    def _down(self) -> tuple[Step, ...]:
        """Everything of the fleet, against the order in which it was made; weights only where asked; who it
        is last."""
        if there := self.left():
            return tuple(Step("delete", subject, "") for subject in there)
        kept = [one for one in self._reading.around.leaving() if self._goes(one)]
        waits = [Step("wait", f"{one['kind']}/{one['metadata']['name']}", deletion.told(one)) for one in kept]
        pods = self.api.list("Pod", self.namespace, f"{self.selector},app.kubernetes.io/component=engine")
        waits += [
            Step("wait", f"pod {one['metadata']['name']}", deletion.by(one) or "it drains") for one in pods
        ]
        if waits:
            return tuple(waits)
        claim = self.claim.find()
        return (Step("delete", f"{claim['kind']}/{self.claim.name}", ""),) if claim else ()

    def _goes(self, body: Object) -> bool:
        """Whether `down` takes it away: weights stay, unless it was told otherwise."""
        return self.weights or body["kind"] not in WEIGHTS

    def left(self) -> tuple[str, ...]:
        """What the fleet has that `down` takes away, but for its claim."""
        kinds = (*OWNED, *WEIGHTS) if self.weights else OWNED
        return tuple(
            f"{kind}/{body['metadata']['name']}"
            for kind in kinds
            for body in self._mine(kind)
            if not body["metadata"].get("deletionTimestamp") and body["metadata"]["name"] != self.claim.name
        )

    def apply(self, changes: Changes) -> None:
        """Takes every step that can be taken now, in order; none, where the cluster has refused one in its
        dry run.

        Raises: UsageError, where the cluster refuses one; StateMoved, where somebody else has the fleet by
        now, or takes its namespace away.
        """
        try:
            if refused := self.rehearsal.verdict():
                raise refused
            self._apply(changes)
        except UsageError as refused:
            if self.turn and self._seen - {f"Namespace/{self.namespace}"} and self.turn.ending():
                raise self.turn.gone(f"Namespace/{self.namespace}") from None
            if self.rehearsal.refused:
                self._take_back()
            raise

    def _apply(self, changes: Changes) -> None:
        steps = [one for one in changes.acting if one.body is not None or one.action == "delete"]
        space = [one for one in changes.steps if one.subject == f"Namespace/{self.namespace}"]
        if space:  # what stands in it can be rehearsed, and claimed, only there
            for step in space:
                if step.body is not None:
                    self._take(step)
            return
        if self._blocked or (self.turn and not self._my_turn(self.turn)):
            return
        for step in steps:
            if self.turn:
                self.turn.check()
            self._take(step)

    def _my_turn(self, turn: Turn) -> bool:
        first = not self.claim.mine
        if not turn.take():
            return False
        if first and turn.verb in ("up", "rollback"):
            with suppress(UsageError):  # a way back is no reason to stop
                self.history.record_before(turn.before)
        return True

    def _take(self, step: Step) -> None:
        """One step. What is made, changed or taken away in the cluster is worth a claim that stays."""
        kind, _, name = step.subject.partition("/")
        match step.body:
            case Call() as call:
                cloud.make(call)
                self.calls = tuple(one for one in self.calls if one != call)
            case Put() as put:
                self._changed = True
                self._put(step.action, put)
                self._seen.add(step.subject)
                if step.action == "create":
                    self.made.append(step.subject)
            case _:
                self._changed = True
                self.api.delete(kind, self.namespace if RESOURCES[kind].namespaced else None, name)
                if name == self.claim.name:
                    self.claim.forget()

    def _put(self, action: Action, put: Put) -> None:
        """Applies one object; the number of replicas, where an HPA moves it, by itself."""
        if put.replicas is not None and action == "update":
            replica_count.keep(self.api, put.body, put.replicas)
        try:
            made = self.api.apply(put.body, force=self.force)
        except UsageError as refused:
            if put.body["kind"] not in WORKLOADS or not excused(self.api, put.body, refused):
                raise
            made = self.api.apply(put.body, force=True)
        if put.replicas not in (None, 1) and action == "create":
            replica_count.keep(self.api, put.body, put.replicas)
        if put.body["kind"] == "Namespace":
            self._new_space = made["metadata"]["uid"]
        if put.body["kind"] in WORKLOADS:
            self._restart = None

    def _take_back(self) -> None:
        """Takes the namespace away that was made only to find that what was to stand in it is refused."""
        if not self._new_space or self.made != [f"Namespace/{self.namespace}"]:
            return
        kinds = ("Lease", "Pod", "Deployment", "Service", "Secret", "Job", "PersistentVolumeClaim")
        if not any(self.api.visible(kind, self.namespace) for kind in kinds):
            with suppress(StokerError):  # who may not take it away has an empty namespace
                self.api.delete("Namespace", None, self.namespace, self._new_space)

    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of every pod's log, or of one; followed, they come from all pods as they are written. Those
        that test the fleet are none of it.

        previous: of each container's life before its last restart.
        """
        own = ",".join([self.selector, *(f"{COMPONENT}!={one}" for one in LOADS)])
        if previous:
            return logs.read_previous(self.api, self.namespace, own, replica, LOG_LINES)
        if follow:
            return logs.follow(self.api, self.namespace, own, replica)
        return logs.read(self.api, self.namespace, own, replica, LOG_LINES)

    def _key(self, ref: KeyRef) -> str:
        return secret.key(self.api, self.namespace, ref, f"{self.name}-keys" if self.stored else "")

    @contextmanager
    def endpoint(self) -> Iterator[Endpoint]:
        """The Service, through kubectl's port-forward, while it is needed. Raises: MissingDependency,
        TimedOut."""
        flags = ["-n", self.namespace]
        flags += ["--context", self.spec.kubernetes.context] if self.spec.kubernetes.context else []
        ref = self.spec.endpoint.api_key
        with PortForward(self.name, self.spec.endpoint.port, flags) as port:
            url = f"http://127.0.0.1:{port}"
            yield Endpoint(url, self.spec.model.served_name, self._key(ref) if ref else None)
