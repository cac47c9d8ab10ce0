"""What the API server refuses, as errors: what it says, and what to do about it."""

import re
from typing import Any, Protocol

import httpx2

from stoker.errors import EnvironmentFailed, Unreachable, UsageError
from stoker.targets.kubernetes.kinds import RESOURCES

FORBIDDEN = "kube-forbidden"


class Asked(Protocol):
    """Who asked whom: the context, its server, and the verb that is offered again with --force-conflicts."""

    context: str
    server: str
    verb: str


def refused(
    asked: Asked, answer: httpx2.Response, method: str, path: str, what: str
) -> UsageError | EnvironmentFailed:
    """The error of an answer of 400 and more: what the server says, and what to do about it."""
    said = _said(answer)
    match answer.status_code:
        case 401:
            return UsageError(
                f"the cluster {asked.context} does not take these credentials",
                why=said,
                fix="they have expired, or are another cluster's: sign in again, or name the context",
                rule="kube-credentials",
            )
        case 403 if _by_rights(said):
            return UsageError(f"{what} is forbidden", why=said, fix=_role_rule(method, path), rule=FORBIDDEN)
        case 409 if "conflict" in said:
            return UsageError(
                f"{what} belongs to somebody else in part",
                why=said,
                fix=f"take the field out of the other's hands, or `stoker {asked.verb} --force-conflicts` "
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
                f"the cluster {asked.context} failed at {what}",
                why=said,
                fix="the same command again resumes",
                rule="kube-server",
            )
    return UsageError(f"{what} is not admitted", why=said, fix=_admission_fix(said), rule="kube-admission")


def _said(answer: httpx2.Response) -> str:
    """The Status object's message; of what is none, its text."""
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return _plain(answer.text) or f"{answer.status_code} without a word"


def no_server(asked: Asked, why: str) -> UsageError:
    """What answers is a proxy's page, another service, a portal."""
    return UsageError(
        f"what answers at {asked.server} is no Kubernetes API server",
        why=why,
        fix=f"mend the cluster's address of the context {asked.context}, or the proxy or VPN before it",
        rule="kube-no-server",
    )


def not_there(body: dict[str, Any]) -> str:
    """Why an object has no place to be applied to."""
    resource = RESOURCES[body["kind"]]
    if resource.namespaced and "." not in resource.group:
        return f"the namespace {body['metadata'].get('namespace')} is not there"
    return (
        f"the cluster has no {resource.plural}.{resource.group}, or no namespace "
        f"{body['metadata'].get('namespace')}"
    )


def _admission_fix(said: str) -> str:
    """What to do about an object that the cluster does not admit, by who says so."""
    if other := re.search(r"already managed by the hpa '([^']+)'", said):  # KEDA's webhook
        return f"only one may move the replicas: `kubectl delete hpa {other[1]}`, or another scaler"
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


def _plain(text: str) -> str:
    """What a proxy's page says, without its markup."""
    return " ".join(re.sub(r"(?s)<(style|script).*?</\1>|<[^>]*>", " ", text).split())[:300]


def _by_rights(said: str) -> bool:
    """Whether a refusal is a missing right; quotas, policies and webhooks refuse with the same code."""
    return re.search(r"cannot \w+ (?:resource|path)", said) is not None


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
