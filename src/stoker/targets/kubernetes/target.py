"""KubernetesTarget: a namespace of a cluster as a place where a fleet runs."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from stoker.errors import Mistake
from stoker.fleet.changes import Action, Changes, Step
from stoker.fleet.state import FleetState
from stoker.fleet.target import Endpoint, LogLine
from stoker.planner.plan import Hardware, Plan
from stoker.render.gcloud import Call
from stoker.render.manifests import Manifest, choose, manifests
from stoker.render.manifests.choices import SPACE
from stoker.spec import dump
from stoker.spec.nouns import KeyRef, ServeSpec
from stoker.targets.kubernetes import cloud, count, drift, logs, revisions, secret, stages, workload
from stoker.targets.kubernetes.client import FORBIDDEN, Api, Object
from stoker.targets.kubernetes.diff import changed
from stoker.targets.kubernetes.kinds import RESOURCES
from stoker.targets.kubernetes.portforward import PortForward
from stoker.targets.kubernetes.reading import LOG_LINES, Reading

# What a change of would be refused: they are made once, under a name that says what they hold.
ONCE = (
    "Job",
    "PersistentVolumeClaim",
    "PersistentVolume",
    "StorageClass",
    "VolumeSnapshot",
    "VolumeSnapshotClass",
)
# What a fleet may own, in the order in which it is taken away.
OWNED = (
    "HorizontalPodAutoscaler", "PodMonitoring", "PodMonitor", "Rules", "PrometheusRule", "GCPBackendPolicy", "HealthCheckPolicy", "HTTPRoute",
    "Gateway", "InferencePool", "RoleBinding", "Role", "PodDisruptionBudget", "Service", "Deployment",
    "LeaderWorkerSet", "Job", "ControllerRevision", "NetworkPolicy", "ConfigMap", "Secret", "ComputeClass", "ServiceAccount",
)  # fmt: skip
SAFE = {"pod-security.kubernetes.io/enforce": "restricted"}  # of a namespace that Stoker makes
WORKLOADS = ("Deployment", "LeaderWorkerSet")
WEIGHTS = ("PersistentVolumeClaim", "VolumeSnapshot", "PersistentVolume")
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
    into each object, as the last changes saw it, and an apply leaves.
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

    def changes(self, plan: Plan | None) -> Changes:
        """The steps towards the plan. Raises: Mistake, where an object is not Stoker's or is refused."""
        if plan is None:
            return Changes(self._down())
        steps = [cloud.step(call) for call in self.calls]
        if not self.space_is_there():
            return Changes((*steps, *self._new_namespace(plan)))
        kept = self._secrets(plan)
        objects = [Manifest(body) for body in kept] + list(manifests(plan))
        self._key_id = next(map(secret.key_id, kept), "")
        for one in objects if not self.keys_stay else objects[len(kept) :]:
            if (step := self._step(self._marked(one.body, plan), one)) is not None:
                steps.append(step)
        steps += self._stale(objects)
        return Changes(tuple(steps) or self._waiting(plan))

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
        try:
            return self.namespace == "default" or self.api.get("Namespace", None, self.namespace) is not None
        except Mistake as refused:
            if refused.finding.rule != FORBIDDEN:
                raise
            return True

    def _marked(self, body: Object, plan: Plan) -> Object:
        """The workload with what it was made from, and its mark of the last restart, which an apply must not take away."""
        if body["kind"] not in WORKLOADS:
            return body
        body = deepcopy(body)
        body["metadata"].setdefault("annotations", {})[revisions.DIGEST] = _digest(plan.spec)
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
        return (first, *(Step("create", str(one), "", (first.subject,)) for one in rest))

    def _step(self, body: Object, one: Manifest) -> Step | None:
        """What there is to do for one object; None where it is as it should be."""
        subject = str(one)
        live = self.api.get(one.kind, one.namespace, one.name)
        if live is None:
            if reason := self._too_early(one):
                return Step("wait", subject, reason)
            moved = one.kind in WORKLOADS and "replicas" not in body["spec"]
            return Step("create", subject, "", body=Put(body, self.spec.replicas.low if moved else None))
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
        version = live["metadata"]["resourceVersion"]
        if self._same.get(subject) == (version, body):
            return None
        after = self.api.apply(body, force=True, dry=True)
        self.others[subject] = drift.foreign(after)
        moved = one.kind in WORKLOADS and "replicas" not in body["spec"]
        kept = count.falls(live, after) if moved else None  # before the two are compared: it says what stays
        differs = changed(live, after)
        if not differs:
            self._same[subject] = (version, body)
            return None
        why = "; ".join(differs) if one.kind != "Secret" else "another key"
        return Step("update", subject, why, body=Put(body, kept))

    def _too_early(self, one: Manifest) -> str:
        """Why an object cannot be made yet: what it is made from is not there."""
        if not one.waits:
            return ""
        if one.kind == "VolumeSnapshot":
            job = self.api.get("Job", self.namespace, f"{one.name}-copy")
            return (
                self._reading.copying.unwritten(job)
                if job and stages.finished(job)
                else "the copy of the weights goes on"
            )
        snapshot = self.api.get("VolumeSnapshot", self.namespace, one.body["spec"]["dataSource"]["name"])
        return (
            "" if snapshot and snapshot.get("status", {}).get("readyToUse") else "the snapshot is being taken"
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
        """Everything of the fleet, against the order in which it was made; weights only where asked."""
        kinds = (*OWNED, *WEIGHTS) if self.weights else OWNED
        there = [
            f"{kind}/{body['metadata']['name']}"
            for kind in kinds
            for body in self._mine(kind)
            if not body["metadata"].get("deletionTimestamp")
        ]
        if there:
            return tuple(Step("delete", subject, "") for subject in there)
        pods = self.api.list("Pod", self.namespace, f"{self.selector},app.kubernetes.io/component=engine")
        return tuple(Step("wait", f"pod {pod['metadata']['name']}", "it drains") for pod in pods)

    def apply(self, changes: Changes) -> None:
        """Takes every step that can be taken now, in order. Raises: Mistake, where the cluster refuses one."""
        for step in changes.acting:
            kind, _, name = step.subject.partition("/")
            match step.body:
                case Call() as call:
                    cloud.make(call)
                    self.calls = tuple(one for one in self.calls if one != call)
                case Put() as put:
                    self._put(step.action, put)
                case _ if step.action == "delete":
                    self.api.delete(kind, self.namespace if RESOURCES[kind].namespaced else None, name)
        self._restart = None

    def _put(self, action: Action, put: Put) -> None:
        """Applies one object; the number of replicas, where an HPA moves it, by itself."""
        if put.replicas is not None and action == "update":
            count.keep(self.api, put.body, put.replicas)
        try:
            self.api.apply(put.body, force=self.force)
        except Mistake as refused:
            if put.body["kind"] not in WORKLOADS or not count.an_hpa_had_it(self.api, put.body, refused):
                raise
            self.api.apply(put.body, force=True)
        if put.replicas not in (None, 1) and action == "create":
            count.keep(self.api, put.body, put.replicas)

    def record(self, spec: ServeSpec) -> int:
        """Keeps a spec that is ready now, for a way back. Returns its number."""
        labels = {"app.kubernetes.io/instance": self.name, "app.kubernetes.io/managed-by": "stoker"}
        return revisions.record(self.api, self.namespace, self.name, self.selector, labels, dump(spec))

    def running(self) -> dict[str, Any] | None:
        """The kept spec of what runs now, as `spec.dump` gives it; the newest kept, where nothing runs."""
        known, runs = revisions.revisions(self.api, self.namespace, self.selector), self._runs()
        fits = [one.spec for one in known if runs in (None, one.digest)]
        return fits[-1] if fits else None

    def differs(self) -> bool:
        """Whether what runs now was made from another spec than this one, replicas aside."""
        return self._runs() not in (None, _digest(self.spec))

    def _runs(self) -> str | None:
        owner = self.workload()
        notes = owner["metadata"].get("annotations", {}) if owner else {}
        return notes.get(revisions.DIGEST)

    def before(self, number: int | None = None) -> revisions.Revision:
        """The revision to go back to: the newest that was ready and is not what runs now, or that of a number.

        Raises: Mistake, where there is none.
        """
        known = revisions.revisions(self.api, self.namespace, self.selector)
        runs = self._runs()
        fits = [one for one in known if (one.number == number if number is not None else one.digest != runs)]
        if not fits:
            raise Mistake(
                f"{self.name} has no revision {number}" if number is not None else f"{self.name} has no other revision that was ready",
                why=f"kept: {', '.join(str(one.number) for one in known) or 'none'}", fix="change the file, and `stoker up`",
                rule="no-revision",
            )  # fmt: skip
        return fits[-1]

    def logs(
        self, replica: str | None = None, follow: bool = False, previous: bool = False
    ) -> Iterator[LogLine]:
        """Lines of every pod's log, or of one; followed, they come from all pods as they are written.

        previous: of each container's life before its last restart.
        """
        if previous:
            return logs.read_previous(self.api, self.namespace, self.selector, replica, LOG_LINES)
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


def _digest(spec: ServeSpec) -> str:
    return revisions.digest(json.loads(json.dumps(dump(spec), default=str)))
