"""How every pod of a fleet is held: as a plain user, on a read-only file system, without capabilities."""

from typing import Any

from stoker.render.manifests.choices import USER


def pod_security(*, volumes: bool = False, weights: bool = False) -> dict[str, Any]:
    """A pod's securityContext.

    volumes: it writes into volumes, which become its user's. weights: so does that of the weights, whose many
    files change hands where the folder's owner is another, not at each start.
    """
    owned = {"fsGroup": USER} if volumes or weights else {}
    once = {"fsGroupChangePolicy": "OnRootMismatch"} if weights else {}
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        **owned,
        **once,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """A container's securityContext."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
