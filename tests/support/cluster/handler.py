"""The double's HTTP side: discovery, objects, watches, apply, subresources, access reviews."""

import json
import time
from collections.abc import Iterator
from copy import deepcopy
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.support.cluster.kinds import KINDS, Kind
from tests.support.cluster.patching import merged, picked, written
from tests.support.cluster.store import Object, Refused

if TYPE_CHECKING:
    from tests.support.cluster.server import Cluster

TICK = 0.02
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]

PAGE = """vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="0",model_name="m"} 0.0
"""


class Handler(BaseHTTPRequestHandler):
    """One request at a time; a subclass has the double that it is of."""

    double: "Cluster"
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
        text = body if isinstance(body, bytes) else json.dumps(written(body)).encode()
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
            items = [o for o in store.list(kind.kind, space) if picked(o, query)]
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
                if space in ("", body["metadata"].get("namespace", "")) and picked(body, query):
                    self.wfile.write(json.dumps({"type": how, "object": written(body)}).encode() + b"\n")
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
        body = merged(deepcopy(live), body, named="strategic-merge-patch" in how)
        if sub == "status":
            store.status(key, **body.get("status", {}))
            return store.get(*key)
        return store.put(key, body, manager)

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
        lines = self.double.lives.kubelets.lines(space, name)
        since = query.get("sinceTime", "")
        found = [(at, text) for at, text in lines if at[:19] >= since[:19]]
        return [f"{at} {text}" if query.get("timestamps") == "true" else text for at, text in found]

    def _page(self, space: str, pod: str, path: list[str]) -> bytes:
        """A pod's metrics, as its annotation `fake/metrics` gives them, or two families of vLLM's; a gateway's
        count of requests beside them."""
        live = self.double.store.get("Pod", space, pod)
        if path != ["metrics"]:
            raise Refused(404, "NotFound", "the server could not find the requested resource")
        own = live["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "gateway"
        page = f"{PAGE}\nstoker_gateway_requests 0\n" if own else PAGE
        return str(live["metadata"].get("annotations", {}).get("fake/metrics", page)).encode()

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
