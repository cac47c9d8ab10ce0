"""The HPA's status as a value: what `kubectl get hpa` shows, and what it means.

Source: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from dataclasses import replace
from typing import Any

from stoker.autoscale.conditions import Said
from stoker.autoscale.hpa_object import read_policy
from stoker.autoscale.policy import Controller
from stoker.autoscale.quantity import number
from stoker.autoscale.words import coming, reason
from stoker.fleet.state import ScaledBy, Scaling
from stoker.render.manifests.scaling import known, of_trigger
from stoker.targets.kubernetes.pods import moment

Object = dict[str, Any]


def read(hpa: Object) -> Scaling:
    """An HPA as a value."""
    spec, status, meta = hpa["spec"], hpa.get("status", {}), hpa["metadata"]
    reference = spec["scaleTargetRef"]
    now = int(status.get("currentReplicas") or 0)
    conditions = {one["type"]: one for one in status.get("conditions") or ()}
    acts = conditions.get("ScalingActive", {}).get("status") != "False"
    # without a figure, what it wanted before stays in its status
    desired = int(status.get("desiredReplicas") or 0)
    wanted = (desired if conditions else desired or now) if acts else now
    metrics = tuple(_metric(one, status, meta.get("annotations")) for one in spec.get("metrics") or ())
    found = Scaling(
        by=f"{meta['name']} {reference['kind']}/{reference['name']}",
        low=int(spec.get("minReplicas", 1)),
        high=int(spec["maxReplicas"]),
        now=now,
        wanted=wanted,
        metrics=metrics,
        reason="",
        since=moment(meta.get("creationTimestamp")),
    )
    try:
        policy = read_policy(spec)
    except ValueError as error:
        return replace(found, reason=f"its spec cannot be read: {error}")
    said = {kind: _said(one) for kind, one in conditions.items()}
    if _sleeps(hpa, said):
        return replace(found, reason="it sleeps at 0: KEDA wakes it when its metrics ask for a replica")
    soon = coming(found, policy, said, Controller())
    return replace(found, reason=reason(found, policy, said), soon=soon)


def _sleeps(hpa: Object, said: dict[str, Said]) -> bool:
    """Whether KEDA, which made this HPA, has taken the fleet to 0: the HPA itself knows of nothing but 1 and
    more."""
    owners = {one.get("kind") for one in hpa["metadata"].get("ownerReferences") or ()}
    active = said.get("ScalingActive")
    return "ScaledObject" in owners and active is not None and active.reason == "ScalingDisabled"


def _said(one: Object) -> Said:
    return Said(one["type"], one["status"] == "True", str(one.get("reason", "")), str(one.get("message", "")))


def _metric(one: Object, status: Object, notes: Object | None) -> ScaledBy:
    """A metric of the spec with its newest figure."""
    kind = one["type"][0].lower() + one["type"][1:]
    asked = one.get(kind, {})
    name = _name(asked)
    current: Object = next(
        (
            found[kind].get("current", {})
            for found in status.get("currentMetrics") or ()
            if found.get("type") == one["type"] and _name(found.get(kind, {})) == name
        ),
        {},
    )
    target = asked.get("target", {})
    ours = known(name) or of_trigger(name, notes) or name
    return ScaledBy(ours, _figure(current, target), _figure(target, target))


def _name(part: Object) -> str:
    return str(part.get("metric", {}).get("name") or part.get("name", ""))


def _figure(part: Object, target: Object) -> float | None:
    """The figure that is compared: of the kind that the target is."""
    keys = [key for key in ("averageValue", "averageUtilization", "value") if target.get(key) is not None]
    for key in keys or ("averageValue", "averageUtilization", "value"):
        if part.get(key) is not None:
            try:
                value = number(part[key])
            except ValueError:
                return None
            # among no replicas Kubernetes 1.36 shows the least of all numbers
            return value if value > -(2**53) else None
    return None
