"""KubernetesTarget: a namespace of a cluster as a place where a fleet runs."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass

from stoker.errors import Mistake, StokerError
from stoker.events import Report, silent
from stoker.fleet.changes import Action, Changes, Step
from stoker.fleet.state import FleetState
from stoker.fleet.target import Endpoint, LogLine
from stoker.planner.plan import Hardware, Plan
from stoker.render.gcloud import Call
from stoker.render.manifests import Manifest, choose, limited, manifests
from stoker.render.manifests.choices import SPACE
from stoker.spec.nouns import KeyRef, ServeSpec
from stoker.targets.kubernetes import (
    cloud,
    count,
    drift,
    held,
    history,
    limits,
    logs,
    order,
    revisions,
    secret,
    workload,
)
from stoker.targets.kubernetes.claim import Claim
from stoker.targets.kubernetes.client import FORBIDDEN, Api, Object
from stoker.targets.kubernetes.diff import changed
from stoker.targets.kubernetes.inventory import ONCE, OWNED, WEIGHTS, WORKLOADS
from stoker.targets.kubernetes.kinds import RESOURCES
from stoker.targets.kubernetes.portforward import PortForward
from stoker.targets.kubernetes.reading import LOG_LINES, Reading
from stoker.targets.kubernetes.rehearsal import Rehearsal, excused
from stoker.targets.kubernetes.turn import Ask, Turn, nobody

SAFE = {"pod-security.kubernetes.io/enforce": "restricted"}  # of a namespace that Stoker makes
RESTARTED = "stoker/restarted-at"
SLOWEST = 1.0


@dataclass(frozen=True, slots=True)
class Put:
    """An object to apply, and the number of replicas to keep apart from it, where an HPA moves that."""

    body: Object
    replicas: int | None = None


class KubernetesTarget:
    """One fleet in one namespace of one cluster.

    force takes fields out of other managers' hands. calls: what gcloud is to do first. weights takes the claims and
    snapshots down too. keys_stay: the Secret of the keys is left as it is. stored: the spec came out of the cluster, so
    that its references to this machine's files and environment are not followed. others: what other managers have put
    into each object, as the last changes saw it, and an apply leaves. lifts: a fleet that an HPA moves and that stands at
    0, where an HPA does nothing, is taken to the low end of its range. made: what this target has made.
    """

    def __init__(self, spec: ServeSpec, *, force: bool = False, weights: bool = False) -> None:
        self.spec, self.name, self.namespace = spec, spec.name, spec.kubernetes.namespace
        self.api = Api(spec.kubernetes.context)
        self.force, self.weights = force, weights
        self._same: dict[str, tuple[str, Object]] = {}
        self._reading = Reading(self.api, spec)
        self._restart: str | None = None
        self._key_id = ""
        self.keys_stay = self.stored = False
        self.calls: tuple[Call, ...] = ()
        self.others: dict[str, tuple[str, ...]] = {}
        self.lifts = False
        self.made: list[str] = []
        self.history = history.History(self._reading)
        self.claim = Claim(self.api, self.name, self.namespace)
        self.rehearsal = Rehearsal(self.api)
        self.turn: Turn | None = None
        self._seen: set[str] = set()
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

    @property
    def selector(self) -> str:
        """Labels of everything of the fleet."""
        return self._reading.selector

    def stay_inside(self) -> None:
        """Looks at nothing that stands outside of the namespace: for who has rights in it alone."""
        self._reading.around.inside = True

    def workload(self) -> Object | None:
        """The Deployment or LeaderWorkerSet; None where there is none, or it is not Stoker's."""
        return self._reading.workload()

    def observe(self) -> FleetState:
        """Pods, their owner and the warnings about them, as one value."""
        return self._reading.observe()

    def _selector(self, kind: str) -> str:
        """The labels of its objects of a kind; those that stand in no namespace say whose they are by another."""
        return self.selector if RESOURCES[kind].namespaced else f"{self.selector},{SPACE}={self.namespace}"

    def _selected(self, body: Object) -> bool:
        wanted = dict(part.split("=") for part in self._selector(body["kind"]).split(","))
        return bool(wanted.items() <= body["metadata"].get("labels", {}).items())

    def restarting(self) -> "KubernetesTarget":
        """The same target, where the next changes replace every replica."""
        self._restart = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return self

    @contextmanager
    def changing(
        self, verb: str, report: Report = silent, *, wanted: ServeSpec | None = None, over: bool = False, ask: Ask = nobody,
    ) -> Iterator[None]:  # fmt: skip
        """A verb that changes the fleet, with its claim to it: taken with the first change, given back at the end.

        wanted: the spec that it leads to. over, ask: as for a Turn.
        """
        self.api.verb = verb
        spec = history.plain(wanted) if wanted else None
        self.turn = Turn(self.claim, self.api, self.namespace, verb, spec, report=report, over=over, ask=ask)
        self._seen.clear()
        self.made.clear()
        try:
            yield
        finally:
            self.turn = None
            with suppress(StokerError):  # it runs out by itself
                self.claim.release()

    def changes(self, plan: Plan | None) -> Changes:
        """The steps towards the plan. Raises: Mistake, where an object is not Stoker's.

        Raises: StateMoved, where somebody else changes the fleet, or took away what was there since this target looks.
        What the cluster would refuse is in `rehearsal`, and raised by `apply`.
        """
        self.rehearsal.refused.clear()
        if self.turn:
            self.turn.check()
        steps = self._down() if plan is None else self._towards(plan)
        if self.turn and Changes(steps).acting and (whom := self.turn.blocked()):
            return Changes((Step("wait", whom, ""),))
        return Changes(steps)

    def _towards(self, plan: Plan) -> tuple[Step, ...]:
        steps = [cloud.step(call) for call in self.calls]
        space = self.space()
        if space is None:
            return (*steps, *self._new_namespace(plan))
        if "deletionTimestamp" in space["metadata"]:
            return (Step("wait", f"Namespace/{self.namespace}", "it is being deleted"),)
        kept = self._secrets(plan)
        made = limited(manifests(plan), limits.asked(self.api, self.namespace))
        objects = [Manifest(body) for body in kept] + list(made)
        self._key_id = next(map(secret.key_id, kept), "")
        claims = {one.name: one for one in objects if one.kind == "PersistentVolumeClaim"}
        for one in objects if not self.keys_stay else objects[len(kept) :]:
            if (step := self._step(self._marked(one.body, plan), one, claims)) is not None:
                steps.append(step)
        waits = any(one.needs for one in steps)  # what is stale serves until the new can
        steps += [one for one in self._stale(objects) if not (waits and one.subject.startswith(WORKLOADS))]
        return tuple(steps) or self._waiting(plan)

    def _secrets(self, plan: Plan) -> list[Object]:
        """The Secret of the keys as it is to be, or as it is where it stays."""
        if not self.keys_stay:
            return [secret.identified(self.api, body) for body in secret.objects(plan)]
        live = self.api.get("Secret", self.namespace, f"{self.name}-keys")
        if live is None and secret.needed(plan):
            raise Mistake(
                f"the secret {self.name}-keys is not in {self.namespace}, and the kept spec needs it",
                why="a spec that the cluster kept reads no key of this machine", rule="kube-secret",
                fix=f"`stoker up` with a file that names the key, or kubectl -n {self.namespace} create secret generic {self.name}-keys --from-file=api-key=FILE",
            )  # fmt: skip
        return [live] if live is not None else []

    def space_is_there(self) -> bool:
        """Whether the namespace is there; who may not look at it works inside one."""
        return self.space() is not None

    def space(self) -> Object | None:
        """The namespace. Raises: StateMoved, where it goes while this target is at work in it."""
        found: Object | None = {"metadata": {"name": self.namespace}}
        try:
            if self.namespace != "default":
                found = self.api.get("Namespace", None, self.namespace)
        except Mistake as refused:
            if refused.finding.rule != FORBIDDEN:
                raise
        if self.turn and self._seen and (found is None or "deletionTimestamp" in found["metadata"]):
            raise self.turn.gone(f"Namespace/{self.namespace}")
        return found

    def _marked(self, body: Object, plan: Plan) -> Object:
        """The workload with what it was made from, and its mark of the last restart, which an apply must not take away."""
        if body["kind"] not in WORKLOADS:
            return body
        body = deepcopy(body)
        body["metadata"].setdefault("annotations", {})[revisions.DIGEST] = history.digest(plan.spec)
        for template in workload.templates(body):
            if self._key_id and f"{self.name}-keys" in json.dumps(template):
                template["metadata"].setdefault("annotations", {})[secret.KEY_ID] = self._key_id
        mark = self._restart
        if mark is None:
            live = self.api.get(body["kind"], self.namespace, self.name)
            mark = workload.template(live)["metadata"].get("annotations", {}).get(RESTARTED) if live else None
        if mark is None:
            return body
        for template in workload.templates(body):
            template["metadata"].setdefault("annotations", {})[RESTARTED] = mark
        return body

    def _new_namespace(self, plan: Plan) -> tuple[Step, ...]:
        body = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.namespace, "labels": dict(SAFE)},
        }
        rest = [*(Manifest(body) for body in secret.objects(plan)), *manifests(plan)]
        first = Step("create", f"Namespace/{self.namespace}", "", body=Put(body))
        self.rehearsal.new(first.subject, body)
        return (first, *(Step("create", str(one), "", (first.subject,)) for one in rest))

    def _step(self, body: Object, one: Manifest, claims: dict[str, Manifest]) -> Step | None:
        """What there is to do for one object; None where it is as it should be."""
        subject = str(one)
        live = self.api.get(one.kind, one.namespace, one.name)
        going = live is not None and "deletionTimestamp" in live["metadata"]
        if live is None or going:
            if self.turn and subject in self._seen and one.kind != "Job":
                raise self.turn.gone(subject)
            self.rehearsal.new(subject, body)
        if live is None:
            return self._create(subject, body, one, claims)
        if going:
            return Step("wait", subject, "it is being deleted")
        self._seen.add(subject)
        shared = one.kind in ("StorageClass", "VolumeSnapshotClass")
        if not workload.ours(live) or not (shared or self._selected(live)):
            raise Mistake(
                f"a {one.kind} named {one.name} is there already, and is not this fleet's",
                at=f"{one.namespace or 'the cluster'}", why="Stoker changes only what it made",
                fix="name: OTHER for this fleet, or remove that one", rule="kube-taken",
            )  # fmt: skip
        if one.kind == "Job":
            return self._reading.copying.again(live, subject)
        if one.kind in ONCE:
            return None
        return self._update(subject, body, one, live, claims)

    def _create(self, subject: str, body: Object, one: Manifest, claims: dict[str, Manifest]) -> Step:
        if reason := order.too_early(self.api, self._reading.copying, one):
            return Step("wait", subject, reason)
        moved = one.kind in WORKLOADS and "replicas" not in body["spec"]
        put = Put(body, self.spec.replicas.low if moved else None)
        return self._after_weights(Step("create", subject, "", body=put), body, None, claims)

    def _update(
        self, subject: str, body: Object, one: Manifest, live: Object, claims: dict[str, Manifest]
    ) -> Step | None:
        version = live["metadata"]["resourceVersion"]
        if self._same.get(subject) == (version, body):
            return None
        after = self.rehearsal.change(subject, body, force=self.force)
        if after is None:
            return Step("update", subject, "it is refused")
        self.others[subject] = drift.foreign(after)
        moved = one.kind in WORKLOADS and "replicas" not in body["spec"]
        kept = count.falls(live, after) if moved else None  # before the two are compared: it says what stays
        if moved and self.lifts and workload.count(live) == 0:
            kept = after["spec"]["replicas"] = self.spec.replicas.low
        differs = changed(live, after)
        if not differs:
            self._same[subject] = (version, body)
            return None
        why = "; ".join(differs) if one.kind != "Secret" else "another key"
        return self._after_weights(Step("update", subject, why, body=Put(body, kept)), body, live, claims)

    def _after_weights(
        self, step: Step, body: Object, live: Object | None, claims: dict[str, Manifest]
    ) -> Step:
        """The step as it is, or, for replicas whose weights are not there yet, one that needs their claim first."""
        if body["kind"] not in WORKLOADS:
            return step
        claim, reason = order.weightless(self.api, body, live, claims)
        if not claim:
            return step
        return Step(
            step.action, step.subject, "; ".join(filter(None, (step.why, f"later: {reason}"))), (claim,)
        )

    def _stale(self, objects: list[Manifest]) -> list[Step]:
        """Objects of the fleet that the plan has no more, but the weights of others."""
        wanted = {(one.kind, one.name) for one in objects}
        return [
            Step("delete", f"{kind}/{body['metadata']['name']}", "the plan has it no more")
            for kind in OWNED
            if kind not in ("Job", "ControllerRevision")
            for body in self._mine(kind)
            if (kind, body["metadata"]["name"]) not in wanted
        ]

    def _mine(self, kind: str) -> tuple[Object, ...]:
        """What the fleet has of a kind, as far as this user may see it."""
        return self.api.visible(kind, self.namespace, self._selector(kind))

    def _waiting(self, plan: Plan) -> tuple[Step, ...]:
        """What is not ready yet of what is there."""
        owner = self.workload()
        cluster = choose(plan)
        wanted = workload.count(owner) if cluster.scaled else plan.spec.replicas.low
        status = (owner or {}).get("status", {})
        generation = (owner or {"metadata": {}})["metadata"].get("generation", 0)
        seen = bool(status) and status.get("observedGeneration", generation) >= generation
        ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
        if seen and ready >= wanted and updated >= wanted and status.get("replicas", 0) <= wanted:
            late = [one.role for one in self._reading.beside() if one.phase != "Ready"]
            return tuple(Step("wait", role, "") for role in late)
        return (Step("wait", f"{max(1, wanted - min(ready, updated))} of {wanted} replicas", ""),)

    def _down(self) -> tuple[Step, ...]:
        """Everything of the fleet, against the order in which it was made; weights only where asked; who it is last."""
        if there := self.left():
            return tuple(Step("delete", subject, "") for subject in there)
        kept = [one for one in self._reading.around.leaving() if self._goes(one)]
        waits = [Step("wait", f"{one['kind']}/{one['metadata']['name']}", held.told(one)) for one in kept]
        pods = self.api.list("Pod", self.namespace, f"{self.selector},app.kubernetes.io/component=engine")
        waits += [Step("wait", f"pod {one['metadata']['name']}", held.by(one) or "it drains") for one in pods]
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
        """Takes every step that can be taken now, in order; none, where the cluster has refused one in its dry run.

        Raises: Mistake, where the cluster refuses one; StateMoved, where somebody else has the fleet by now.
        """
        if refused := self.rehearsal.verdict():
            raise self._taken_back(refused)
        steps = [one for one in changes.acting if one.body is not None or one.action == "delete"]
        space = [one for one in steps if one.subject == f"Namespace/{self.namespace}"]
        if space:  # what stands in it can be rehearsed only there
            self._take(space[0])
            return
        if steps and self.turn and not self._my_turn(self.turn):
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
            with suppress(Mistake):  # a way back is no reason to stop
                self.history.record_before(turn.before)
        return True

    def _take(self, step: Step) -> None:
        kind, _, name = step.subject.partition("/")
        match step.body:
            case Call() as call:
                cloud.make(call)
                self.calls = tuple(one for one in self.calls if one != call)
            case Put() as put:
                self._put(step.action, put)
                self._seen.add(step.subject)
                if step.action == "create":
                    self.made.append(step.subject)
            case _:
                self.api.delete(kind, self.namespace if RESOURCES[kind].namespaced else None, name)
                if name == self.claim.name:
                    self.claim.forget()

    def _put(self, action: Action, put: Put) -> None:
        """Applies one object; the number of replicas, where an HPA moves it, by itself."""
        if put.replicas is not None and action == "update":
            count.keep(self.api, put.body, put.replicas)
        try:
            made = self.api.apply(put.body, force=self.force)
        except Mistake as refused:
            if put.body["kind"] not in WORKLOADS or not excused(self.api, put.body, refused):
                raise
            made = self.api.apply(put.body, force=True)
        if put.replicas not in (None, 1) and action == "create":
            count.keep(self.api, put.body, put.replicas)
        if put.body["kind"] == "Namespace":
            self._new_space = made["metadata"]["uid"]
        if put.body["kind"] in WORKLOADS:
            self._restart = None

    def _taken_back(self, refused: Mistake) -> Mistake:
        """The refusal, once the namespace that was made for what is refused, and has nothing in it, is away again."""
        if not self._new_space or self.made != [f"Namespace/{self.namespace}"]:
            return refused
        kinds = ("Pod", "Deployment", "Service", "Secret", "Job", "PersistentVolumeClaim")
        if not any(self.api.visible(kind, self.namespace) for kind in kinds):
            with suppress(StokerError):  # who may not take it away has an empty namespace
                self.api.delete("Namespace", None, self.namespace, self._new_space)
        return refused

    def logs(self, replica: str | None = None, follow: bool = False) -> Iterator[LogLine]:
        """Lines of every pod's log, or of one; followed, they come from all pods as they are written."""
        if follow:
            return logs.follow(self.api, self.namespace, self.selector, replica)
        return logs.read(self.api, self.namespace, self.selector, replica, LOG_LINES)

    def _key(self, ref: KeyRef) -> str:
        return secret.key(self.api, self.namespace, ref, f"{self.name}-keys" if self.stored else "")

    @contextmanager
    def endpoint(self) -> Iterator[Endpoint]:
        """The Service, through kubectl's port-forward, while it is needed. Raises: MissingPart, TimedOut."""
        flags = ["-n", self.namespace]
        flags += ["--context", self.spec.kubernetes.context] if self.spec.kubernetes.context else []
        ref = self.spec.endpoint.api_key
        with PortForward(self.name, self.spec.endpoint.port, flags) as port:
            url = f"http://127.0.0.1:{port}"
            yield Endpoint(url, self.spec.model.served_name, self._key(ref) if ref else None)
