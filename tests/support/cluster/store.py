"""The objects of the double: resource versions, history for watches, ownership, deletion."""

import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from tests.support.cluster import ownership
from tests.support.cluster.kinds import BY_KIND, Kind

MOST = 20_000  # changes that a watch can look back over
Key = tuple[str, str, str]  # kind, namespace, name
Object = dict[str, Any]


class Refused(Exception):
    """An answer other than success: HTTP code, reason, message."""

    def __init__(self, code: int, reason: str, message: str, causes: Iterable[dict[str, str]] = ()) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.causes = code, reason, message, list(causes)


def now(*, exactly: bool = False) -> str:
    """The time as objects carry it; exactly: as lines of a log do."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z" if exactly else "%Y-%m-%dT%H:%M:%SZ")


class Store:
    """All objects, behind one lock. `admit` may refuse an object before it is kept; rehearsing: during a dry
    run."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.objects: dict[Key, Object] = {}
        self.owners: dict[Key, dict[str, set[ownership.Path]]] = {}
        self.history: deque[tuple[int, str, Object]] = deque(maxlen=MOST)
        self.version = 100
        self.admit: list[Callable[[str, Object], None]] = []
        self.rehearsing = False

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """Raises: Refused, 404."""
        found = self.objects.get((kind, namespace, name))
        if found is None:
            raise Refused(404, "NotFound", f'{_resource(kind)} "{name}" not found')
        return found

    def list(self, kind: str, namespace: str = "") -> list[Object]:
        """All of a kind, in a namespace or everywhere."""
        with self.lock:
            return [o for (k, n, _), o in self.objects.items() if k == kind and namespace in ("", n)]

    def create(self, kind: Kind, namespace: str, body: Object, manager: str = "double") -> Object:
        """Raises: Refused, where it is there already or not admitted."""
        with self.lock:
            body, claimed = deepcopy(body), set(ownership.owned(body))
            meta = body.setdefault("metadata", {})
            if "name" not in meta:
                meta["name"] = meta.pop("generateName", "x-") + uuid.uuid4().hex[:5]
            key = (kind.kind, namespace, meta["name"])
            if key in self.objects:
                raise Refused(409, "AlreadyExists", f'{_resource(kind.kind)} "{meta["name"]}" already exists')
            self._check(kind, namespace, body)
            body = {"apiVersion": kind.version, "kind": kind.kind, **body}
            if kind.namespaced:
                meta["namespace"] = namespace
            meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
            self.owners[key] = {manager: claimed}
            self._keep(key, body, "ADDED")
            return self.objects[key]

    def apply(
        self,
        kind: Kind,
        namespace: str,
        body: Object,
        manager: str,
        *,
        force: bool = False,
        dry: bool = False,
    ) -> Object:
        """Server-side apply. Raises: Refused: 409 with a cause a field, or what admission says."""
        name = body["metadata"]["name"]
        key = (kind.kind, namespace, name)
        with self.lock:
            live = self.objects.get(key)
            if live is None and not dry:
                return self.create(kind, namespace, body, manager)
            self._check(kind, namespace, body, new=live is None, dry=dry)
            if live is None:
                return deepcopy(body)
            wanted = ownership.owned(body)
            owners = self.owners[key]
            clash = {} if force else ownership.conflicts(live, owners, manager, wanted)
            if clash:
                raise _conflict(clash, kind)
            merged = deepcopy(live)
            others = set().union(*(paths for other, paths in owners.items() if other != manager))
            for path in owners.get(manager, set()) - set(wanted) - others:
                ownership.remove(merged, path)
            for path, value in wanted.items():
                ownership.put(merged, path, value)
            taken = {p for p in wanted if ownership.get(live, p) != wanted[p]} if force else set()
            after = {other: paths - taken for other, paths in owners.items()} | {manager: set(wanted)}
            if dry:
                merged["metadata"]["managedFields"] = _managed(merged, after)
                return merged
            self.owners[key] = after
            if merged != live:
                self.put(key, merged)
            return self.objects[key]

    def replace(self, key: Key, body: Object, manager: str) -> Object:
        """As an update does. Raises: Refused: 404; 409, where it names another version than the one that is
        there."""
        with self.lock:
            live, named = self.get(*key), body["metadata"].get("resourceVersion")
            if named and named != live["metadata"]["resourceVersion"]:
                raise Refused(
                    409,
                    "Conflict",
                    f'Operation cannot be fulfilled on {_resource(key[0])} "{key[2]}": the object has been '
                    f"modified; please apply your changes to the latest version and try again",
                )
            kept = {
                k: live["metadata"][k]
                for k in ("uid", "creationTimestamp", "generation", "resourceVersion", "managedFields")
            }
            return self.put(key, {**live, **body, "metadata": {**body["metadata"], **kept}}, manager)

    def put(self, key: Key, body: Object, manager: str | None = None) -> Object:
        """Replaces an object that is there; a changed spec is another generation."""
        with self.lock:
            live = self.objects[key]
            if body == live:
                return live
            body = deepcopy(body)
            if manager:
                changed = {p for p, v in ownership.owned(body).items() if ownership.get(live, p) != v}
                for paths in self.owners[key].values():
                    paths -= changed
                self.owners[key].setdefault(manager, set()).update(changed)
            if body.get("spec") != live.get("spec"):
                body["metadata"]["generation"] = live["metadata"].get("generation", 1) + 1
            self._keep(key, body, "MODIFIED")
            kept = self.objects[key]
            meta = kept["metadata"]
            if "deletionTimestamp" in meta and not meta.get("finalizers") and key[0] != "Namespace":
                self.delete(key)
            return kept

    def status(self, key: Key, **status: Any) -> None:
        """Merges into an object's status."""
        with self.lock:
            live = self.objects.get(key)
            if live is None:
                return
            new = {**live, "status": {**live.get("status", {}), **status}}
            if new != live:
                self._keep(key, new, "MODIFIED")

    def end(self, key: Key, uid: str = "") -> None:
        """As a request to delete does: a namespace is terminating until it is empty. Raises: Refused, 404,
        409."""
        with self.lock:
            body = self.get(*key)
            if uid not in ("", body["metadata"]["uid"]):
                raise Refused(
                    409,
                    "Conflict",
                    f'Operation cannot be fulfilled on {_resource(key[0])} "{key[2]}": Precondition failed: '
                    f"UID in precondition: {uid}, UID in object meta: {body['metadata']['uid']}",
                )
            if key[0] != "Namespace":
                self.delete(key)
                return
            meta = {"deletionTimestamp": now(), **body["metadata"]}
            self.put(key, {**body, "metadata": meta, "status": {"phase": "Terminating"}})

    def sweep(self, namespace: Object) -> None:
        """What the namespace controller does of one that is terminating: its objects go, and then it goes
        itself."""
        name = namespace["metadata"]["name"]
        inside = [key for key in self.objects if key[1] == name]
        for key in inside:
            if key in self.objects:
                self.delete(key)
        if not inside:
            self.delete(("Namespace", "", name))

    def delete(self, key: Key) -> None:
        """Raises: Refused, 404. What it owns goes with it; what has a finalizer stays until somebody takes
        that off."""
        with self.lock:
            body = self.get(*key)
            if body["metadata"].get("finalizers"):
                if "deletionTimestamp" not in body["metadata"]:
                    meta = {**body["metadata"], "deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
                    self._keep(key, {**body, "metadata": meta}, "MODIFIED")
                return
            del self.objects[key]
            self.owners.pop(key, None)
            self.version += 1
            self.history.append((self.version, "DELETED", body))
            self.lock.notify_all()
            uid = body["metadata"]["uid"]
            for other, child in list(self.objects.items()):
                if other in self.objects and any(
                    o.get("uid") == uid for o in child["metadata"].get("ownerReferences", ())
                ):
                    self.delete(other)

    def event(
        self, about: Object, reason: str, message: str, type_: str = "Normal", source: str = "double"
    ) -> None:
        """An Event; one that was there already counts on."""
        meta = about["metadata"]
        space = meta.get("namespace", "default")
        with self.lock:
            for key, old in list(self.objects.items()):
                same = (
                    key[0] == "Event"
                    and old["involvedObject"]["uid"] == meta["uid"]
                    and old["reason"] == reason
                )
                if same and old["message"] == message:
                    self.put(key, {**old, "count": old["count"] + 1, "lastTimestamp": now()})
                    return
            body = {
                "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:10]}"},
                "involvedObject": {
                    "kind": about["kind"],
                    "name": meta["name"],
                    "namespace": space,
                    "uid": meta["uid"],
                },
                "reason": reason,
                "message": message,
                "type": type_,
                "count": 1,
                "source": {"component": source},
                "firstTimestamp": now(),
                "lastTimestamp": now(),
            }
            with suppress(Refused):  # nothing new in a namespace that is terminating
                self.create(BY_KIND["Event"], space, body)

    def _check(
        self, kind: Kind, namespace: str, body: Object, *, new: bool = True, dry: bool = False
    ) -> None:
        space = self.objects.get(("Namespace", "", namespace))
        if kind.namespaced and space is None:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
        if new and space is not None and "deletionTimestamp" in space["metadata"]:
            raise Refused(
                403,
                "Forbidden",
                f'{_resource(kind.kind)} "{body["metadata"]["name"]}" is forbidden: unable to create new '
                f"content in namespace {namespace} because it is being terminated",
            )
        self.rehearsing = dry
        for rule in self.admit:
            rule(kind.kind, body)

    def _keep(self, key: Key, body: Object, how: str) -> None:
        self.version += 1
        meta = {**body["metadata"], "resourceVersion": str(self.version)}
        body = {**body, "metadata": meta}
        meta["managedFields"] = _managed(body, self.owners.get(key, {}))
        self.objects[key] = body
        self.history.append((self.version, how, body))
        self.lock.notify_all()


def _managed(body: Object, owners: dict[str, set[ownership.Path]]) -> list[Object]:
    return [
        {
            "manager": manager,
            "operation": "Apply",
            "apiVersion": body["apiVersion"],
            "fieldsType": "FieldsV1",
            "fieldsV1": _fields(paths),
        }
        for manager, paths in owners.items()
        if paths
    ]


def _fields(paths: set[ownership.Path]) -> dict[str, Any]:
    """Paths as the API server writes a set of fields."""
    out: dict[str, Any] = {}
    for path in sorted(paths):
        here = out
        for part in path:
            name = f'k:{{"name":"{part[1:-1]}"}}' if part.startswith("[") else f"f:{part}"
            here = here.setdefault(name, {})
    return out


def _conflict(clash: dict[str, list[ownership.Path]], kind: Kind) -> Refused:
    count = sum(map(len, clash.values()))
    lines = [
        f'conflict with "{manager}" using {kind.version}: {ownership.written(path)}'
        for manager, paths in clash.items()
        for path in sorted(paths)
    ]
    text = f"Apply failed with {count} conflict{'s' * (count > 1)}: " + ", ".join(lines)
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}" using {kind.version}',
            "field": ownership.written(path),
        }
        for manager, paths in clash.items()
        for path in sorted(paths)
    ]
    return Refused(409, "Conflict", text, causes)


def _resource(kind: str) -> str:
    found = BY_KIND[kind]
    group = found.version.rpartition("/")[0]
    return f"{found.plural}.{group}" if group else found.plural
