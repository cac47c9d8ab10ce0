"""What is deleted and does not go: a namespace on its way out, and objects that a finalizer keeps.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""

from collections.abc import Iterable
from typing import Any

from stoker.fleet.state import Evidence, Service
from stoker.targets.kubernetes.pods import moment

Object = dict[str, Any]
GRACE = 3.0  # seconds in which a controller takes its finalizer off by itself


def kept(found: Iterable[Object]) -> tuple[Object, ...]:
    """Those that are deleted and still there."""
    return tuple(one for one in found if one["metadata"].get("deletionTimestamp"))


def by(body: Object) -> str:
    """Which finalizers keep an object; empty of one that is only about to go."""
    return ", ".join(body["metadata"].get("finalizers") or ())


def told(body: Object) -> str:
    """Why it is still there, in words."""
    return f"its finalizer {by(body)} keeps it" if by(body) else "it goes"


def evidence(found: Iterable[Object], now: float) -> tuple[Evidence, ...]:
    """One for each object that is past its time and has a finalizer."""
    return tuple(
        Evidence("condition", f"{one['kind']}/{one['metadata']['name']}", "FinalizerHolds", by(one))
        for one in kept(found)
        if by(one) and now - moment(one["metadata"]["deletionTimestamp"]) > GRACE
    )


def services(found: Iterable[Evidence], now: float) -> tuple[Service, ...]:
    """The same as something that is told of while it is waited for."""
    return tuple(
        Service(one.subject, "Draining", now, detail=f"its finalizer {one.text} keeps it")
        for one in found
        if one.reason == "FinalizerHolds"
    )


def namespace(body: Object | None) -> tuple[Evidence, ...]:
    """A namespace that is being deleted, with what it says is left in it."""
    if body is None or not body["metadata"].get("deletionTimestamp"):
        return ()
    told = [
        str(one.get("message", ""))
        for one in body.get("status", {}).get("conditions", ())
        if one["status"] == "True"
    ]
    text = "; ".join(told) or "what is in it goes first"
    return (Evidence("condition", f"Namespace/{body['metadata']['name']}", "NamespaceTerminating", text),)
