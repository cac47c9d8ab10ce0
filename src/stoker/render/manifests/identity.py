"""Whom pods run as, and what they may do: the engine's account has no rights in the cluster, and is granted
the weights outside of it."""

from collections.abc import Sequence
from typing import Any

from stoker.render.manifests.choices import Cluster
from stoker.render.manifests.manifest import Manifest

RBAC = "rbac.authorization.k8s.io"
Rule = tuple[str, Sequence[str]]  # an API group, and kinds of it


def service_account(cluster: Cluster) -> tuple[Manifest, ...]:
    """The fleet's own account, unless an existing one was named."""
    return () if cluster.ask.service_account else (_account(cluster.meta()),)


def account_with(
    meta: dict[str, Any], rules: Sequence[Rule], verbs: Sequence[str]
) -> tuple[Manifest, Manifest, Manifest]:
    """An account of that name, and its rights within the namespace."""
    return _account(meta), _role(meta, rules, verbs), _binding(meta)


def _account(meta: dict[str, Any]) -> Manifest:
    return Manifest(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": meta,
            "automountServiceAccountToken": False,
        }
    )


def _role(meta: dict[str, Any], rules: Sequence[Rule], verbs: Sequence[str]) -> Manifest:
    listed = [
        {"apiGroups": [group], "resources": list(kinds), "verbs": list(verbs)} for group, kinds in rules
    ]
    return Manifest({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": meta, "rules": listed})


def _binding(meta: dict[str, Any]) -> Manifest:
    body = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": meta["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": meta["name"], "namespace": meta["namespace"]}],
    }
    return Manifest(body)
