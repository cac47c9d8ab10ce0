"""The way in to a fleet: its Service, and its Gateway and route, as far as a controller has taken them on.

Source: https://gateway-api.sigs.k8s.io/reference/spec/#gatewayconditiontype (Accepted and Programmed are
Unknown, Pending, until a controller looks; a route that none has looked at has no parents in its status).
"""

from collections.abc import Sequence
from typing import Any

from stoker.fleet.state import Evidence, Service
from stoker.targets.kubernetes.pods import holds, moment

Object = dict[str, Any]
UNATTENDED = "no controller has accepted it"
NEEDED = {"Gateway": ("Accepted", "Programmed"), "HTTPRoute": ("Accepted", "ResolvedRefs")}


def route(gateways: Sequence[Object], routes: Sequence[Object]) -> tuple[Service, ...]:
    """The Gateway's side as a service: ready where it is programmed and the route accepted."""
    if not gateways and not routes:
        return ()
    since = min(moment(one["metadata"].get("creationTimestamp")) for one in (*gateways, *routes))
    wrong = _wrong(gateways, routes)
    return (
        Service(
            "route", "Starting" if wrong else "Ready", since, detail="; ".join(text for _, text in wrong)
        ),
    )


def route_evidence(gateways: Sequence[Object], routes: Sequence[Object]) -> tuple[Evidence, ...]:
    """What keeps the Gateway or the route from serving."""
    return tuple(_sign(one, "NoRoute", text) for one, text in _wrong(gateways, routes))


def _wrong(gateways: Sequence[Object], routes: Sequence[Object]) -> list[tuple[Object, str]]:
    out = [(one, text) for one in gateways if (text := _unmet(one, one.get("status", {})))]
    for one in routes:
        parents = one.get("status", {}).get("parents") or [{}]
        texts = [text for parent in parents if (text := _unmet(one, parent))]
        out += [(one, texts[0])] if len(texts) == len(parents) else []
    return out


def _unmet(body: Object, status: Object) -> str:
    """The first condition that does not hold, in its own words."""
    about = f"{body['kind']}/{body['metadata']['name']}"
    found = {one["type"]: one for one in status.get("conditions") or ()}
    for name in NEEDED[body["kind"]]:
        one = found.get(name)
        if one is None or (one["status"] == "Unknown" and one.get("reason") == "Pending"):
            return f"{about}: {UNATTENDED}"
        if one["status"] != "True":
            return f"{about}: {one.get('reason', name)}: {one.get('message', '')}".rstrip(": ")
    return ""


def service(name: str, found: Sequence[Object], pods: Sequence[Object]) -> tuple[Evidence, ...]:
    """A Service of the fleet that is gone, or picks none of the pods that are ready."""
    body = next((one for one in found if one["metadata"]["name"] == name), None)
    about = f"Service/{name}"
    if body is None:
        return (
            Evidence(
                "condition", about, "ServiceGone", f"there is no Service {name}, somebody has deleted it"
            ),
        )
    if body["metadata"].get("deletionTimestamp"):
        return (Evidence("condition", about, "ServiceGone", f"the Service {name} is being deleted"),)
    if any(holds(one, "Ready") for one in pods) and not any(_picks(body, one) for one in pods):
        picks = ", ".join(f"{key}={value}" for key, value in body["spec"].get("selector", {}).items())
        return (
            Evidence(
                "condition",
                about,
                "ServiceGone",
                f"the Service {name} picks {picks or 'nothing'}, and no pod has that",
            ),
        )
    return ()


def _picks(body: Object, pod: Object) -> bool:
    wanted = body["spec"].get("selector") or {}
    return bool(wanted) and wanted.items() <= pod["metadata"].get("labels", {}).items()


def _sign(body: Object, reason: str, text: str) -> Evidence:
    return Evidence("condition", f"{body['kind']}/{body['metadata']['name']}", reason, text)
