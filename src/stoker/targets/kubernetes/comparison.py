"""What a fleet's objects are to become, against what is there: the steps of a plan, object by object."""

import json
from copy import deepcopy
from dataclasses import dataclass, replace

from stoker.errors import UsageError
from stoker.fleet.changes import Step
from stoker.planner.plan import Plan
from stoker.render.gcloud import Call
from stoker.render.manifests import Manifest, choose, limited, manifests
from stoker.render.manifests.choices import LOADS, SPACE
from stoker.spec.nouns import ServeSpec
from stoker.targets.kubernetes import (
    cloud,
    dependencies,
    drift,
    history,
    limits,
    replica_count,
    revisions,
    scalers,
    secret,
    workload,
)
from stoker.targets.kubernetes.claim import Claim
from stoker.targets.kubernetes.client import FORBIDDEN, Api, Object
from stoker.targets.kubernetes.diff import changed
from stoker.targets.kubernetes.inventory import ONCE, OWNED, WORKLOADS
from stoker.targets.kubernetes.kinds import RESOURCES
from stoker.targets.kubernetes.lease import Turn
from stoker.targets.kubernetes.reading import Reading
from stoker.targets.kubernetes.rehearsal import Rehearsal

SAFE = {"pod-security.kubernetes.io/enforce": "restricted"}  # of a namespace that Stoker makes
RESTARTED = "stoker/restarted-at"


@dataclass(frozen=True, slots=True)
class Put:
    """An object to apply, and the number of replicas to keep apart from it, where an HPA moves that."""

    body: Object
    replicas: int | None = None


class Comparison:
    """Of one fleet in one namespace, with what was seen and rehearsed so far.

    force takes fields out of other managers' hands. calls: what gcloud is to do first. keys_stay: the Secret
    of the keys is left as it is. others: what other managers have put into each object, as the last look saw
    it, and an apply leaves.
    lifts: a fleet that an HPA moves and that stands at 0, where an HPA does nothing, is taken to the low end
    of its range.
    turn: of the command that changes the fleet; what was there since it began, and is not any more, ends it.
    """

    def __init__(self, spec: ServeSpec, *, force: bool = False) -> None:
        self.spec, self.name, self.namespace = spec, spec.name, spec.kubernetes.namespace
        self.api = Api(spec.kubernetes.context)
        self.force, self.keys_stay, self.lifts = force, False, False
        self.calls: tuple[Call, ...] = ()
        self.others: dict[str, tuple[str, ...]] = {}
        self.turn: Turn | None = None
        self.rehearsal = Rehearsal(self.api)
        self.claim = Claim(self.api, self.name, self.namespace)
        self._reading = Reading(self.api, spec)
        self._same: dict[str, tuple[str, Object]] = {}
        self._seen: set[str] = set()
        self._restart: str | None = None
        self._key_id = ""

    @property
    def selector(self) -> str:
        """Labels of everything of the fleet."""
        return self._reading.selector

    def workload(self) -> Object | None:
        """The Deployment or LeaderWorkerSet; None where there is none, or it is not Stoker's."""
        return self._reading.workload()

    def _selector(self, kind: str) -> str:
        """The labels of its objects of a kind; those that stand in no namespace say whose they are by
        another."""
        return self.selector if RESOURCES[kind].namespaced else f"{self.selector},{SPACE}={self.namespace}"

    def _selected(self, body: Object) -> bool:
        wanted = dict(part.split("=") for part in self._selector(body["kind"]).split(","))
        return bool(wanted.items() <= body["metadata"].get("labels", {}).items())

    def towards(self, plan: Plan) -> tuple[Step, ...]:
        """The steps that lead to a plan; one that waits, where all that is left to do is to wait. Raises:
        UsageError, StateMoved."""
        steps = [cloud.step(call) for call in self.calls]
        space = self.space()
        if space is None:
            return (*steps, *self._new_namespace(plan))
        if "deletionTimestamp" in space["metadata"]:
            return (Step("wait", f"Namespace/{self.namespace}", "it is being deleted"),)
        kept = self._secrets(plan)
        made = limited(self._made(plan), limits.asked(self.api, self.namespace))
        objects = [Manifest(body) for body in kept] + list(made)
        self._key_id = next(map(secret.key_id, kept), "")
        claims = {one.name: one for one in objects if one.kind == "PersistentVolumeClaim"}
        for one in objects if not self.keys_stay else objects[len(kept) :]:
            if (step := self._step(self._marked(one.body, plan), one, claims)) is not None:
                steps.append(step)
        waits = any(one.needs for one in steps)  # what is stale serves until the new can
        steps += [one for one in self._stale(objects) if not (waits and one.subject.startswith(WORKLOADS))]
        return tuple(steps) or self._waiting(plan)

    def _made(self, plan: Plan) -> tuple[Manifest, ...]:
        """What the plan needs, as written for the cluster that this is: an adapter may look at several."""
        there = replace(plan.spec.kubernetes, context=self.api.context)
        return manifests(replace(plan, spec=replace(plan.spec, kubernetes=there)))

    def _secrets(self, plan: Plan) -> list[Object]:
        """The Secret of the keys as it is to be, or as it is where it stays."""
        if not self.keys_stay:
            return [secret.identified(self.api, body) for body in secret.objects(plan)]
        live = self.api.get("Secret", self.namespace, f"{self.name}-keys")
        if live is None and secret.needed(plan):
            raise UsageError(
                f"the secret {self.name}-keys is not in {self.namespace}, and the kept spec needs it",
                why="a spec that the cluster kept reads no key of this machine",
                rule="kube-secret",
                fix=f"`stoker up` with a file that names the key, or kubectl -n {self.namespace} create "
                f"secret generic {self.name}-keys --from-file=api-key=FILE",
            )
        return [live] if live is not None else []

    def namespace_exists(self) -> bool:
        """Whether the namespace is there; who may not look at it works inside one."""
        return self.space() is not None

    def space(self) -> Object | None:
        """The namespace. Raises: StateMoved, where it goes while this target is at work in it."""
        found: Object | None = {"metadata": {"name": self.namespace}}
        try:
            if self.namespace != "default":
                found = self.api.get("Namespace", None, self.namespace)
        except UsageError as refused:
            if refused.finding.rule != FORBIDDEN:
                raise
        if self.turn and self._seen and (found is None or "deletionTimestamp" in found["metadata"]):
            raise self.turn.gone(f"Namespace/{self.namespace}")
        return found

    def _marked(self, body: Object, plan: Plan) -> Object:
        """The workload with what it was made from, and its mark of the last restart, which an apply must not
        take away."""
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
        rest = [*(Manifest(body) for body in secret.objects(plan)), *self._made(plan)]
        first = Step("create", f"Namespace/{self.namespace}", "", body=Put(body))
        self.rehearsal.new(first.subject, body)
        return (first, *(Step("create", str(one), "", (first.subject,)) for one in rest))

    def _step(self, body: Object, one: Manifest, claims: dict[str, Manifest]) -> Step | None:
        """What there is to do for one object; None where it is as it should be."""
        subject = str(one)
        live = self.api.get(one.kind, one.namespace, one.name)
        going = live is not None and "deletionTimestamp" in live["metadata"]
        if live is None and (other := scalers.in_the_way(self.api, one.kind, one.namespace, self.selector)):
            return Step("wait", subject, other)
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
            raise UsageError(
                f"a {one.kind} named {one.name} is there already, and is not this fleet's",
                at=f"{one.namespace or 'the cluster'}",
                why="Stoker changes only what it made",
                fix="name: OTHER for this fleet, or remove that one",
                rule="kube-taken",
            )
        if one.kind == "Job":
            return self._reading.copying.again(live, subject)
        if one.kind in ONCE:
            return None
        return self._update(subject, body, one, live, claims)

    def _create(self, subject: str, body: Object, one: Manifest, claims: dict[str, Manifest]) -> Step:
        if reason := dependencies.too_early(self.api, self._reading.copying, one):
            return Step("wait", subject, reason)
        moved = one.kind in WORKLOADS and "replicas" not in body["spec"]
        put = Put(body, scalers.least(self.spec) if moved else None)
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
        kept = (
            replica_count.falls(live, after) if moved else None
        )  # before the two are compared: it says what stays
        asleep = moved and self.lifts and workload.count(live) == 0
        if asleep and not scalers.sleeps(self.api, self.spec, self.selector):
            kept = after["spec"]["replicas"] = scalers.least(self.spec)
        differs = changed(live, after)
        if not differs:
            self._same[subject] = (version, body)
            return None
        why = "; ".join(differs) if one.kind != "Secret" else "another key"
        return self._after_weights(Step("update", subject, why, body=Put(body, kept)), body, live, claims)

    def _after_weights(
        self, step: Step, body: Object, live: Object | None, claims: dict[str, Manifest]
    ) -> Step:
        """The step as it is, or, for replicas whose weights are not there yet, one that needs their claim
        first."""
        if body["kind"] not in WORKLOADS:
            return step
        claim, reason = dependencies.weightless(self.api, body, live, claims)
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
            and body["metadata"]["name"] != self.claim.name
            and workload.component(body) not in LOADS
        ]

    def _mine(self, kind: str) -> tuple[Object, ...]:
        """What the fleet has of a kind, as far as this user may see it; not KEDA's HPA."""
        found = self.api.visible(kind, self.namespace, self._selector(kind))
        return tuple(one for one in found if not scalers.kedas(one))

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
