"""The Kubernetes API: the kubeconfig's connection, plain values in and out, and errors that say what to
do."""

import json
import os
import re
import weakref
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

import httpx2
from lightkube.config.client_adapter import Client, ConnectionParams
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

from stoker.errors import EnvironmentFailed, Unreachable, UsageError
from stoker.system import clock
from stoker.targets.kubernetes import kubeconfig
from stoker.targets.kubernetes.kinds import RESOURCES

MANAGER = "stoker"
FORBIDDEN = "kube-forbidden"
CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 10.0
PAGE_SECONDS = 1.5  # for what a pod itself says: nobody waits for one that hangs
BUSY_SECONDS = 60.0  # for which a server that asks to be asked again is asked again
LONGEST_PAUSE = 10.0
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
        except UsageError as refused:
            if refused.finding.rule != FORBIDDEN:
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
                why=_not_there(body),
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
            raise self._refused(answer, "PUT" if name else "POST", path, f"{body['kind']}/{meta['name']}")
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
            raise self._refused(answer, "GET", path, f"the log of {pod}")
        return tuple(answer.text.splitlines())

    def pod_page(self, namespace: str, pod: str, port: int, path: str) -> str:
        """A page that a pod serves, through the API server's proxy; empty where it has none. Raises:
        UsageError, Unreachable."""
        at, (path, _, query) = RESOURCES["Pod"].path(namespace, f"{pod}:{port}"), path.partition("?")
        answer = self._send("GET", f"{at}/proxy{path}", parse_qs(query), seconds=PAGE_SECONDS)
        if answer.status_code >= 400 and answer.status_code != 404:
            raise self._refused(answer, "GET", f"{at}/proxy", f"the page of {pod}")
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
                    raise self._refused(answer, "GET", path, f"the log of {pod}")
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
            raise self._no_server("GET /version does not tell a release of Kubernetes")
        return str(found["gitVersion"])

    def _no_server(self, why: str) -> UsageError:
        """What answers is a proxy's page, another service, a portal."""
        return UsageError(
            f"what answers at {self.server} is no Kubernetes API server",
            why=why,
            fix=f"mend the cluster's address of the context {self.context}, or the proxy or VPN before it",
            rule="kube-no-server",
        )

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
            raise self._refused(answer, method, path, what)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._no_server(f"{method} {path} is answered with {answer.text[:80]!r}")
        told: Object = _told(found)
        return told

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
            pause = _again_in(answer)
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
            self._ahead = _ahead(answer.headers.get("date"), self._ahead)
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

    def _refused(
        self, answer: httpx2.Response, method: str, path: str, what: str
    ) -> UsageError | EnvironmentFailed:
        try:
            said = str(answer.json()["message"])
        except (ValueError, KeyError, TypeError):
            said = _plain(answer.text) or f"{answer.status_code} without a word"
        match answer.status_code:
            case 401:
                return UsageError(
                    f"the cluster {self.context} does not take these credentials",
                    why=said,
                    fix="they have expired, or are another cluster's: sign in again, or name the context",
                    rule="kube-credentials",
                )
            case 403 if _by_rights(said):
                return UsageError(
                    f"{what} is forbidden", why=said, fix=_role_rule(method, path), rule=FORBIDDEN
                )
            case 409 if "conflict" in said:
                return UsageError(
                    f"{what} belongs to somebody else in part",
                    why=said,
                    fix=f"take the field out of the other's hands, or `stoker {self.verb} --force-conflicts` "
                    f"takes it back",
                    rule="kube-conflict",
                )
            case 409 if "has been modified" in said:
                return Unreachable(
                    f"{what} was changed by somebody else just now",
                    why=said,
                    fix="the same command again",
                    rule="kube-modified",
                )
            case code if (code >= 500 or code == 429) and "field not declared in schema" not in said:
                return Unreachable(
                    f"the cluster {self.context} failed at {what}",
                    why=said,
                    fix="the same command again resumes",
                    rule="kube-server",
                )
        return UsageError(
            f"{what} is not admitted", why=said, fix=_admission_fix(said), rule="kube-admission"
        )


def _admission_fix(said: str) -> str:
    """What to do about an object that the cluster does not admit, by who says so."""
    if "admission webhook" in said:
        return "ask whoever runs that webhook, or change what it objects to"
    if "exceeded quota" in said:
        return "raise the ResourceQuota, or ask for less"
    if "violates PodSecurity" in said:
        return (
            "a namespace whose Pod Security level admits it, or without what it names: "
            "kubernetes.annotations, engine.image"
        )
    if "ValidatingAdmissionPolicy" in said:
        return "change what the policy objects to, or ask whoever runs it for an exception"
    return "change the field that it names, in the file or by --set"


def connection(context: str | None) -> Any:
    """The kubeconfig's entry. Raises: UsageError."""
    try:
        # as kubectl: what KUBECONFIG names goes before a pod's own account
        named = [one for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one]
        whole = kubeconfig.read(named) if named else KubeConfig.from_env()
    except Exception as error:  # whatever the library meets in a file that is none
        raise UsageError(
            "no kubeconfig can be used",
            why=_why(error) or "neither KUBECONFIG nor ~/.kube/config leads to one",
            fix="`gcloud container clusters get-credentials NAME --location PLACE` writes one",
            rule="kube-config",
        ) from error
    try:
        found = whole.get(context) if context else whole.get()
    except ConfigError as error:
        known = ", ".join(whole.contexts) or "none"
        raise UsageError(
            f"the context {context or whole.current_context!r} is not in the kubeconfig",
            at="kubernetes.context",
            why=f"known: {known}",
            fix="one of these",
            rule="kube-context",
        ) from error
    if found is None or not found.cluster.server:
        raise UsageError(
            "the kubeconfig names no cluster",
            why=f"known contexts: {', '.join(whole.contexts) or 'none'}",
            fix="--set kubernetes.context=NAME, or `kubectl config use-context NAME`",
            rule="kube-context",
        )
    return found


def _again_in(answer: httpx2.Response) -> float | None:
    """In how many seconds a call that was turned away may be made again; None where it was not.

    429 is `storage is (re)initializing` or a server that has too much to do: nothing was done of what it
    refuses.
    """
    if answer.status_code != 429:
        return None
    try:
        return min(LONGEST_PAUSE, max(0.1, float(answer.headers.get("retry-after", "1"))))
    except ValueError:
        return 1.0


def _ahead(date: str | None, before: float) -> float:
    """How far the clock of an answer is before this machine's; as before, where it says nothing or the
    like."""
    try:
        found = parsedate_to_datetime(date or "").timestamp() - clock.now()
    except ValueError:
        return before
    return 0.0 if abs(found) < 2.0 else found  # the header has whole seconds


def _why(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())


def _told(value: Any) -> Any:
    """A value without its nulls, which some empty lists are written as; what others keep under `data` stays
    as it is."""
    if isinstance(value, dict):
        return {key: one if key == "data" else _told(one) for key, one in value.items() if one is not None}
    return [_told(one) for one in value] if isinstance(value, list) else value


def _plain(text: str) -> str:
    """What a proxy's page says, without its markup."""
    return " ".join(re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", text).split())[:300]


def _by_rights(said: str) -> bool:
    """Whether a refusal is a missing right; quotas, policies and webhooks refuse with the same code."""
    return re.search(r"cannot \w+ (?:resource|path)", said) is not None


def _not_there(body: Object) -> str:
    resource = RESOURCES[body["kind"]]
    if resource.namespaced and "." not in resource.group:
        return f"the namespace {body['metadata'].get('namespace')} is not there"
    return (
        f"the cluster has no {resource.plural}.{resource.group}, or no namespace "
        f"{body['metadata'].get('namespace')}"
    )


def _role_rule(method: str, path: str) -> str:
    """The rule that a Role lacks."""
    words = path.strip("/").split("/")
    group = words[1] if words[0] == "apis" else ""
    rest = words[3:] if group else words[2:]
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        rest = rest[2:]
    verb = {
        "GET": "get" if len(rest) > 1 else "list",
        "PATCH": "patch",
        "DELETE": "delete",
        "POST": "create",
        "PUT": "update",
    }[method]
    resource = "/".join([rest[0], *rest[2:3]])  # such as pods/log
    return (
        f'a Role with {{apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]}}, bound to you'
    )
