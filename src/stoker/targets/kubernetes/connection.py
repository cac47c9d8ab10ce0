"""Which cluster, as whom: the kubeconfig's entry."""

import os
from typing import Any

from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ConfigError

from stoker.errors import UsageError
from stoker.targets.kubernetes import kubeconfig


def connection(context: str | None) -> Any:
    """The kubeconfig's entry. Raises: UsageError."""
    try:
        # as kubectl: what KUBECONFIG names goes before a pod's own account
        named = [one for one in os.environ.get("KUBECONFIG", "").split(os.pathsep) if one]
        whole = kubeconfig.read(named) if named else KubeConfig.from_env()
    except Exception as error:  # whatever the library meets in a file that is none
        raise UsageError(
            "no kubeconfig can be used",
            why=kubeconfig.why(error) or "neither KUBECONFIG nor ~/.kube/config leads to one",
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
