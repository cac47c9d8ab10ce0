"""The Kubernetes API: the kubeconfig's connection, plain values in and out, and errors that say what to
do."""

import json
import weakref
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx2
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.core.exceptions import ConfigError

from stoker.errors import EnvironmentFailed, Unreachable, UsageError
from stoker.system import clock
from stoker.targets.kubernetes.answers import again_in, ahead, told
from stoker.targets.kubernetes.connection import connection
from stoker.targets.kubernetes.kinds import RESOURCES
from stoker.targets.kubernetes.refusals import FORBIDDEN, no_server, not_there, refused

__all__ = ["FORBIDDEN", "MANAGER", "Api", "Object"]

MANAGER = "stoker"
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
PAGE_SECONDS = 1.5  # for what a pod itself says: nobody waits for one that hangs
BUSY_SECONDS = 60.0  # for which a server that asks to be asked again is asked again
QUIET_SECONDS = 60.0  # after which a log that says nothing is asked for anew: its connection may be dead
NO_LOG = (400, 404)  # a container that has not begun, a pod that is gone
Object = dict[str, Any]


class Api:
    """One cluster, as one user. Raises: UsageError, for a kubeconfig that names none.

    verb: of the command that asks, which a refusal offers again with --force-conflicts.
    """

    verb = "up"

    def __init__(self, context: str | None = None) -> None:
        config = connection(context)
        self.context = config.context_name or "in-cluster"
        self.server = config.cluster.server
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        try:
            self._http = Client(config, ConnectionParams(timeout=timeout))
        except (ConfigError, OSError, ValueError) as error:
            raise UsageError(
                f"the context {self.context} cannot be used",
                why=str(error),
                fix="`kubectl config view` shows it",
                rule="kube-config",
            ) from error
        weakref.finalize(self, self._http.close)
        self._ahead = 0.0  # the server's clock before this machine's, in seconds

    def now(self) -> float:
        """The time in epoch seconds by the server's clock, as its last answer gave it: one clock for all who
        ask it."""
        return clock.now() + self._ahead

    def close(self) -> None:
        """Gives the connections back."""
        self._http.close()

    def get(self, kind: str, namespace: str | None, name: str) -> Object | None:
        """The object; None where it, or its kind, is not there."""
        return self._json("GET", RESOURCES[kind].path(namespace, name), f"{kind}/{name}")

    def list(self, kind: str, namespace: str | None, selector: str = "") -> tuple[Object, ...]:
        """All of a kind; empty where the kind is not there."""
        query = {"labelSelector": selector} if selector else {}
        found = self._json("GET", RESOURCES[kind].path(namespace), f"every {kind}", query)
        # a list leaves the kind of its items out
        about = {"apiVersion": RESOURCES[kind].version, "kind": kind}
        return tuple({**about, **item} for item in found.get("items", ())) if found else ()

    def visible(self, kind: str, namespace: str | None, selector: str = "") -> tuple[Object, ...]:
        """All of a kind that this user may see: none, where the user may not list it."""
        try:
            return self.list(kind, namespace, selector)
        except UsageError as error:
            if error.finding.rule != FORBIDDEN:
                raise
            return ()

    def serves(self, kind: str) -> bool:
        """Whether the cluster knows the kind at all: by its discovery, which everybody may read."""
        found = self._json("GET", f"/apis/{RESOURCES[kind].version}", kind)
        return found is not None and any(one["kind"] == kind for one in found.get("resources", ()))

    def apply(
        self, body: Object, *, force: bool = False, dry: bool = False, manager: str = MANAGER
    ) -> Object:
        """Server-side apply with a field manager of Stoker's. Raises: UsageError, with what the server
        says."""
        meta, resource = body["metadata"], RESOURCES[body["kind"]]
        query = {"fieldManager": manager, "fieldValidation": "Strict"}
        query |= {"force": "true"} if force else {}
        query |= {"dryRun": "All"} if dry else {}
        what = f"{body['kind']}/{meta['name']}"
        path = resource.path(meta.get("namespace"), meta["name"])
        found = self._json("PATCH", path, what, query, body, "application/apply-patch+yaml")
        if found is None:
            raise UsageError(
                f"{what} cannot be applied",
                why=not_there(body),
                fix="install it, or choose another way in the file",
                rule="kube-missing",
            )
        return found

    def write(self, body: Object) -> Object | None:
        """Makes an object, or replaces the very version of it that `body` names; None where somebody else was
        first."""
        meta, resource = body["metadata"], RESOURCES[body["kind"]]
        name = meta["name"] if "resourceVersion" in meta else ""
        path, query = resource.path(meta.get("namespace"), name), {"fieldManager": MANAGER}
        answer = self._send("PUT" if name else "POST", path, query, body, "application/json")
        if answer.status_code in (404, 409):
            return None
        if answer.status_code >= 400:
            raise refused(self, answer, "PUT" if name else "POST", path, f"{body['kind']}/{meta['name']}")
        found: Object = answer.json()
        return found

    def delete(self, kind: str, namespace: str | None, name: str, uid: str = "") -> None:
        """Takes an object away, and what it owns after it; nothing where it is gone. uid: only that very
        one."""
        query = {"propagationPolicy": "Background"}
        only = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}} if uid else None
        path = RESOURCES[kind].path(namespace, name)
        self._json("DELETE", path, f"{kind}/{name}", query, only, "application/json" if uid else "")

    def log(self, namespace: str, pod: str, lines: int, container: str = "engine") -> tuple[str, ...]:
        """The last lines of a pod's container, as far as they can be had: for who looks at much more than a
        log."""
        try:
            return self.tail(namespace, pod, lines, container)
        except (UsageError, EnvironmentFailed):
            return ()

    def tail(
        self, namespace: str, pod: str, lines: int, container: str, *, previous: bool = False
    ) -> tuple[str, ...]:
        """The last lines of a pod's container, or of its life before; none where there is no log. Raises:
        UsageError, EnvironmentFailed."""
        path = RESOURCES["Pod"].path(namespace, pod) + "/log"
        query = {
            "tailLines": str(lines),
            "container": container,
            **({"previous": "true"} if previous else {}),
        }
        answer = self._send("GET", path, query)
        if answer.status_code in NO_LOG:
            return ()
        if answer.status_code >= 400:
            raise refused(self, answer, "GET", path, f"the log of {pod}")
        return tuple(answer.text.splitlines())

    def pod_page(self, namespace: str, pod: str, port: int, path: str) -> str:
        """A page that a pod serves, through the API server's proxy; empty where it has none. Raises:
        UsageError, Unreachable."""
        at, (path, _, query) = RESOURCES["Pod"].path(namespace, f"{pod}:{port}"), path.partition("?")
        answer = self._send("GET", f"{at}/proxy{path}", parse_qs(query), seconds=PAGE_SECONDS)
        if answer.status_code >= 400 and answer.status_code != 404:
            raise refused(self, answer, "GET", f"{at}/proxy", f"the page of {pod}")
        return answer.text if answer.status_code == 200 else ""

    def follow(self, namespace: str, pod: str, container: str = "engine", since: str = "") -> Iterator[str]:
        """The lines of a pod's container as they come, each with its time before it, until it ends.

        since: a time of the API, from which on. Raises: Unreachable, where the stream breaks or is quiet for
        long; UsageError, where this user may not read it.
        """
        path = RESOURCES["Pod"].path(namespace, pod) + "/log"
        query = {"follow": "true", "container": container, "timestamps": "true"}
        query |= {"sinceTime": since} if since else {}
        timeout = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=QUIET_SECONDS)
        try:
            with self._http.stream("GET", f"{path}?{urlencode(query)}", timeout=timeout) as answer:
                if answer.status_code == 200:
                    yield from answer.iter_lines()
                elif answer.status_code not in NO_LOG:
                    answer.read()
                    raise refused(self, answer, "GET", path, f"the log of {pod}")
        except httpx2.HTTPError as error:
            raise Unreachable(
                f"the log of {pod} broke off",
                why=str(error) or type(error).__name__,
                fix="again",
                rule="kube-log",
            ) from error

    def allowed(self, verb: str, kind: str, namespace: str | None) -> bool:
        """Whether this user may do it: a SelfSubjectAccessReview."""
        resource = RESOURCES[kind]
        attributes = {"verb": verb, "group": resource.group, "resource": resource.plural}
        attributes |= {"namespace": namespace} if resource.namespaced and namespace else {}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        found = self._json("POST", path, "SelfSubjectAccessReview", {}, body, "application/json")
        return found is None or bool(found["status"]["allowed"])

    def group(self, name: str) -> bool:
        """Whether an API group is served at all, such as `custom.metrics.k8s.io`."""
        return self._json("GET", f"/apis/{name}", name) is not None

    def version(self) -> str:
        """The server's release. Raises: EnvironmentFailed, where it does not answer; UsageError, where it is
        something else."""
        found = self._json("GET", "/version", "the version")
        if found is None or "gitVersion" not in found:
            raise no_server(self, "GET /version does not tell a release of Kubernetes")
        return str(found["gitVersion"])

    def _json(
        self,
        method: str,
        path: str,
        what: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        kind: str = "",
    ) -> Object | None:
        answer = self._send(method, path, query or {}, body, kind)
        if answer.status_code == 404:
            return None
        if answer.status_code >= 400:
            raise refused(self, answer, method, path, what)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise no_server(self, f"{method} {path} is answered with {answer.text[:80]!r}")
        plain: Object = told(found)
        return plain

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Object | None = None,
        kind: str = "",
        seconds: float | None = None,
    ) -> httpx2.Response:
        """One call; again, where the server asks to be asked again: an API server that starts does, for each
        kind."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if kind else {}
        timeout = self._http.timeout if seconds is None else httpx2.Timeout(seconds)
        patience = clock.monotonic() + (BUSY_SECONDS if seconds is None else 0.0)
        while True:
            answer = self._once(method, path, query, content, headers, timeout)
            pause = again_in(answer)
            if pause is None or clock.monotonic() + pause > patience:
                return answer
            clock.sleep(pause)

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        content: bytes | None,
        headers: Mapping[str, str],
        timeout: httpx2.Timeout,
    ) -> httpx2.Response:
        try:
            answer = self._http.request(
                method, path, params=query, content=content, headers=headers, timeout=timeout
            )
            self._ahead = ahead(answer.headers.get("date"), self._ahead)
            return answer
        except ConfigError as error:
            raise UsageError(
                f"the credentials of {self.context} cannot be had",
                why=str(error),
                fix="sign in again, such as with `gcloud auth login`",
                rule="kube-credentials",
            ) from error
        except httpx2.HTTPError as error:
            raise Unreachable(
                f"the cluster {self.context} does not answer",
                why=f"{self.server}: {str(error) or type(error).__name__}",
                fix="`kubectl cluster-info` shows the same; a VPN, another --set kubernetes.context, or a "
                "stopped cluster?",
                rule="kube-unreachable",
            ) from error
