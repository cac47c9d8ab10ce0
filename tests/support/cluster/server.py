"""The double's HTTP side: discovery, objects, watches, apply, subresources, access reviews."""

import json
import re
import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.support.cluster import ownership
from tests.support.cluster.controllers import Controllers
from tests.support.cluster.kinds import BY_KIND, KINDS, Kind
from tests.support.cluster.store import Object, Refused, Store

TICK = 0.02
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]

PAGE = """vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 0.0
"""


class Cluster:
    """The double, running: `with Cluster() as cluster: cluster.kubeconfig()`.

    absent: kinds whose definitions are not installed. forbidden: (verb, plural) that the user may not do.
    away: connections break off, as while it restarts. busy: so many requests are turned away first, as while
    its storage initializes.
    """

    def __init__(self, *, speed: float = 1.0, absent: tuple[str, ...] = (), port: int = 0) -> None:
        self.store = Store()
        self.lives = Controllers(self.store, speed)
        self.absent = set(absent)
        self.forbidden: set[tuple[str, str]] = set()
        self.token: str | None = None  # of a kubeconfig that is let in; kubectl sends none without TLS
        self.requests: list[str] = []
        self.away, self.busy = False, 0
        self._stop = threading.Event()
        cluster = self

        class Handler(_Handler):
            double = cluster

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        for name in ("default", "kube-system"):
            self.store.create(BY_KIND["Namespace"], "", {"metadata": {"name": name}})

    def __enter__(self) -> "Cluster":
        threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        threading.Thread(target=self._live, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def kubeconfig(self, namespace: str = "default") -> str:
        """The text of a kubeconfig for it."""
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "double",
            "clusters": [{"name": "double", "cluster": {"server": self.url}}],
            "users": [{"name": "double", "user": {"token": "double"}}],
            "contexts": [
                {"name": "double", "context": {"cluster": "double", "user": "double", "namespace": namespace}}
            ],
        }
        return yaml.safe_dump(config)

    def node(
        self,
        name: str,
        gpus: int = 0,
        accelerator: str = "",
        *,
        zone: str = "us-east4-a",
        taints: tuple[str, ...] = (),
    ) -> None:
        """A node, with GPUs."""
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone}
        if accelerator:
            labels["cloud.google.com/gke-accelerator"] = accelerator
        spec = {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints]} if taints else {}
        status = {"allocatable": {"nvidia.com/gpu": str(gpus), "cpu": "96", "memory": "400Gi"}}
        body = {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}
        self.store.create(BY_KIND["Node"], "", body)

    def _live(self) -> None:
        while not self._stop.wait(TICK):
            self.lives.step()


class _Handler(BaseHTTPRequestHandler):
    double: Cluster
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        try:
            if self.double.away:
                raise ConnectionResetError
            token = self.double.token
            if token is not None and self.headers.get("Authorization") != f"Bearer {token}":
                raise Refused(401, "Unauthorized", "Unauthorized")
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length) if length else b""
            if "protobuf" in self.headers.get("Content-Type", ""):
                raise Refused(415, "UnsupportedMediaType", "the double reads JSON and YAML, no protobuf")
            self.double.requests.append(f"{self.command} {self.path}")
            if self.double.busy > 0:
                self.double.busy -= 1
                raise Refused(429, "TooManyRequests", "storage is (re)initializing")
            found = self._route(raw)
            if found is not None:
                self._send(200, found)
        except Refused as error:
            details = {"causes": error.causes} if error.causes else {}
            self._send(
                error.code,
                {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "status": "Failure",
                    "message": error.message,
                    "reason": error.reason,
                    "code": error.code,
                    "details": details,
                    "metadata": {},
                },
            )
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def _send(self, code: int, body: Any) -> None:
        text = body if isinstance(body, bytes) else json.dumps(_written(body)).encode()
        self.send_response(code)
        if code == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _route(self, raw: bytes) -> Any:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        path = parts.path.rstrip("/")
        if path == "/version":
            return {"major": "1", "minor": "36", "gitVersion": "v1.36.0-double"}
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            return self._review(json.loads(raw))
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        if path == "/apis":
            return self._groups()
        for root in {kind.root for kind in self._kinds()}:
            if path == root:
                return self._discovery(root)
            if path.startswith(root + "/"):
                return self._object(root, path[len(root) + 1 :].split("/"), query, raw)
        raise Refused(404, "NotFound", "the server could not find the requested resource")

    def _kinds(self) -> Iterator[Kind]:
        return (kind for kind in KINDS if kind.kind not in self.double.absent)

    def _groups(self) -> Object:
        versions = sorted({kind.version for kind in self._kinds() if "/" in kind.version})
        groups = []
        for version in versions:
            group, _, short = version.partition("/")
            one = {"groupVersion": version, "version": short}
            groups.append({"name": group, "versions": [one], "preferredVersion": one})
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _discovery(self, root: str) -> Object:
        mine = [kind for kind in self._kinds() if kind.root == root]
        rows = [{"name": k.plural, "kind": k.kind, "namespaced": k.namespaced, "verbs": VERBS} for k in mine]
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": mine[0].version,
            "resources": rows,
        }

    def _review(self, body: Any) -> Object:
        asked = body["spec"]["resourceAttributes"]
        allowed = (asked["verb"], asked["resource"]) not in self.double.forbidden
        return {**body, "status": {"allowed": allowed}}

    def _object(self, root: str, words: list[str], query: dict[str, str], raw: bytes) -> Any:
        space = ""
        if words[0] == "namespaces" and len(words) > 2:
            space, words = words[1], words[2:]
        kind = next((k for k in self._kinds() if k.root == root and k.plural == words[0]), None)
        if kind is None:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        self._allow(kind, words, query)
        name, sub = [*words, "", ""][1:3]
        if not name:
            return self._collection(kind, space, query, raw)
        if sub == "log":
            return self._log(space, name, query)
        if sub == "proxy":
            return self._page(space, name.partition(":")[0], words[3:])
        if sub == "scale":
            return self._scale(kind, space, name, raw)
        return self._single(kind, space, name, sub, query, raw)

    def _allow(self, kind: Kind, words: list[str], query: dict[str, str]) -> None:
        verbs = {
            "GET": "get" if len(words) > 1 else "list",
            "POST": "create",
            "PUT": "update",
            "PATCH": "patch",
            "DELETE": "delete",
        }
        verb = "watch" if query.get("watch") in ("true", "1") else verbs[self.command]
        resource = "/".join([kind.plural, *words[2:3]])
        if (verb, resource) in self.double.forbidden:
            group = kind.version.rpartition("/")[0]
            raise Refused(
                403,
                "Forbidden",
                f'{kind.plural}{f".{group}" if group else ""} is forbidden: User "double" cannot {verb} '
                f'resource "{resource}" in API group "{group}"',
            )

    def _collection(self, kind: Kind, space: str, query: dict[str, str], raw: bytes) -> Any:
        store = self.double.store
        if self.command == "POST":
            return store.create(kind, space, json.loads(raw), query.get("fieldManager", "double"))
        if query.get("watch") in ("true", "1"):
            self._watch(kind, space, query)
            return None
        with store.lock:
            items = [o for o in store.list(kind.kind, space) if _picked(o, query)]
            return {
                "kind": f"{kind.kind}List",
                "apiVersion": kind.version,
                "metadata": {"resourceVersion": str(store.version)},
                "items": items,
            }

    def _watch(self, kind: Kind, space: str, query: dict[str, str]) -> None:
        store, seen = self.double.store, int(query.get("resourceVersion") or 0)
        if seen and store.history and seen < store.history[0][0] - 1:
            raise Refused(410, "Expired", f"too old resource version: {seen}")
        until = time.monotonic() + float(query.get("timeoutSeconds") or 300)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        while time.monotonic() < until:
            with store.lock:
                fresh = [
                    (how, body)
                    for version, how, body in store.history
                    if version > seen and body["kind"] == kind.kind
                ]
                seen = store.version
                if not fresh:
                    store.lock.wait(0.2)
            for how, body in fresh:
                if space in ("", body["metadata"].get("namespace", "")) and _picked(body, query):
                    self.wfile.write(json.dumps({"type": how, "object": _written(body)}).encode() + b"\n")
            self.wfile.flush()

    def _single(self, kind: Kind, space: str, name: str, sub: str, query: dict[str, str], raw: bytes) -> Any:
        store = self.double.store
        key = (kind.kind, space if kind.namespaced else "", name)
        if self.command == "GET":
            return store.get(*key)
        if self.command == "DELETE":
            body = store.get(*key)
            options = json.loads(raw) if raw else {}
            store.end(key, options.get("preconditions", {}).get("uid", ""))
            return body
        manager = query.get("fieldManager", "double")
        if self.command == "PUT":
            return store.replace(key, json.loads(raw), manager)
        how = self.headers.get("Content-Type", "")
        body = yaml.safe_load(raw) if "yaml" in how else json.loads(raw)
        if "apply-patch" in how:
            if not query.get("fieldManager"):
                raise Refused(
                    400, "BadRequest", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value"
                )
            if sub == "status":
                store.status(key, **body.get("status", {}))
                return store.get(*key)
            forced, dry = query.get("force") == "true", query.get("dryRun") == "All"
            return store.apply(kind, key[1], body, manager, force=forced, dry=dry)
        live = store.get(*key)
        merged = _merge(deepcopy(live), body, named="strategic-merge-patch" in how)
        if sub == "status":
            store.status(key, **merged.get("status", {}))
            return store.get(*key)
        return store.put(key, merged, manager)

    def _log(self, space: str, name: str, query: dict[str, str]) -> bytes | None:
        """The lines of a pod's log, with the times at which they came where they are asked for; followed,
        until it ends.

        Before its last restart: its annotation `fake/previous-log`.
        """
        pod = self.double.store.get("Pod", space, name)
        if query.get("previous") == "true":
            said = pod["metadata"].get("annotations", {}).get("fake/previous-log")
            if said is None:
                raise Refused(
                    400, "BadRequest", f'previous terminated container "engine" in pod "{name}" not found'
                )
            return str(said).encode()
        if query.get("follow") != "true":
            return "\n".join(self._lines(space, name, query)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        sent, going = 0, True
        while going and not self.double.away:
            pod = self.double.store.objects.get(("Pod", space, name), {"status": {"phase": "Failed"}})
            # looked at before the last lines are
            going = pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
            lines = self._lines(space, name, query)
            self.wfile.write("".join(f"{line}\n" for line in lines[sent:]).encode())
            self.wfile.flush()
            sent = len(lines)
            time.sleep(TICK)
        return None

    def _lines(self, space: str, name: str, query: dict[str, str]) -> list[str]:
        lines = self.double.lives.lines(space, name)
        since = query.get("sinceTime", "")
        found = [(at, text) for at, text in lines if at[:19] >= since[:19]]
        return [f"{at} {text}" if query.get("timestamps") == "true" else text for at, text in found]

    def _page(self, space: str, pod: str, path: list[str]) -> bytes:
        """A ready engine's metrics, as its annotation `fake/metrics` gives them, or two families of
        vLLM's."""
        live = self.double.store.get("Pod", space, pod)
        if path != ["metrics"]:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        return str(live["metadata"].get("annotations", {}).get("fake/metrics", PAGE)).encode()

    def _scale(self, kind: Kind, space: str, name: str, raw: bytes) -> Object:
        store, key = self.double.store, (kind.kind, space, name)
        live = store.get(*key)
        if self.command != "GET":
            count = json.loads(raw)["spec"]["replicas"]
            live = store.put(key, {**live, "spec": {**live["spec"], "replicas": count}}, "double-scale")
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {"name": name, "namespace": space},
            "spec": {"replicas": live["spec"].get("replicas", 1)},
            "status": {"replicas": live.get("status", {}).get("replicas", 0)},
        }


def _picked(body: Object, query: dict[str, str]) -> bool:
    """Whether an object is what the selectors pick."""
    labels = body["metadata"].get("labels") or {}
    for term in re.split(r",(?![^(]*\))", query.get("labelSelector", "")):
        if match := re.fullmatch(r"([^=!\s]+)\s+in\s+\(([^)]*)\)", term):
            if labels.get(match[1]) not in [one.strip() for one in match[2].split(",")]:
                return False
        elif "!=" in term:
            key, _, value = term.partition("!=")
            if labels.get(key) == value:
                return False
        elif "=" in term:
            key, _, value = term.replace("==", "=").partition("=")
            if labels.get(key) != value:
                return False
        elif term and term not in labels:
            return False
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        key, _, value = term.partition("=")
        if ownership.get(body, tuple(key.split("."))) != value:
            return False
    return True


def _merge(live: Any, patch: Any, *, named: bool = False) -> Any:
    """A JSON merge patch; named: a strategic one, which merges the items of a list by their names."""
    if named and isinstance(live, list) and isinstance(patch, list) and all("name" in one for one in patch):
        found = {one.get("name"): one for one in live}
        return [
            *(
                found | {one["name"]: _merge(found.get(one["name"]), one, named=True) for one in patch}
            ).values()
        ]
    if not isinstance(patch, dict) or not isinstance(live, dict):
        return patch
    for key, value in patch.items():
        if value is None:
            live.pop(key, None)
        elif not (named and key.startswith("$")):
            live[key] = _merge(live.get(key), value, named=named)
    return live


def _written(value: Any) -> Any:
    """As Go writes it: 30.0 is 30."""
    if isinstance(value, dict):
        return {key: _written(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_written(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
