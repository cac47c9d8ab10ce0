"""What KEDA thinks of a fleet: its ScaledObject's conditions, and what it does not say of itself.

A trigger that fails is served as `fallback` replicas without a word in the HPA; without one the number stays.
Source: kedacore/keda 2.21, apis/keda/v1alpha1/condition_types.go, pkg/fallback/fallback.go,
pkg/scaling/executor/scale_scaledobjects.go.
"""

from collections.abc import Iterable
from typing import Any

from stoker.fleet.state import Evidence
from stoker.render.manifests.scaling import of_trigger
from stoker.targets.kubernetes import pods
from stoker.targets.kubernetes.pods import holds, moment

Object = dict[str, Any]
FAILING = ("TriggerError", "PartialTriggerError")


def evidence(found: Iterable[Object], events: Iterable[Evidence], now: float) -> tuple[Evidence, ...]:
    """What keeps KEDA from scaling by the fleet's metrics."""
    told = tuple(events)
    return tuple(sign for one in found for sign in _signs(one, told, now))


def _signs(body: Object, events: tuple[Evidence, ...], now: float) -> list[Evidence]:
    subject = f"ScaledObject/{body['metadata']['name']}"
    conditions = {one["type"]: one for one in body.get("status", {}).get("conditions") or ()}
    if not conditions:
        age = now - moment(body["metadata"].get("creationTimestamp"))
        text = f"no operator has looked at it in {age:.0f} s"
        late = age > pods.UNATTENDED_SECONDS
        return [Evidence("condition", subject, "KedaNoOperator", text)] if late else []
    out = []
    if holds(body, "Paused"):
        out.append(Evidence("condition", subject, "KedaPaused", str(conditions["Paused"].get("message", ""))))
    if holds(body, "Fallback"):
        out.append(Evidence("condition", subject, "KedaFallback", _fallback(body)))
    ready = conditions.get("Ready", {})
    reason = str(ready.get("reason", ""))
    if ready.get("status") != "True" and reason:
        kind = "KedaFailing" if reason in FAILING else "KedaRefused"
        text = _last(events, subject) if reason in FAILING else ""
        out.append(Evidence("condition", subject, kind, text or str(ready.get("message", reason))))
    return out


def _last(events: tuple[Evidence, ...], subject: str) -> str:
    """What a trigger last failed with: its condition does not say."""
    failed = [one.text for one in events if (one.subject, one.reason) == (subject, "KEDAScalerFailed")]
    return failed[-1] if failed else ""


def _fallback(body: Object) -> str:
    """How many replicas are served in place of which metrics."""
    notes = body["metadata"].get("annotations")
    health = body.get("status", {}).get("health") or {}
    failing = [name for name, one in health.items() if one.get("status") == "Failing"]
    lost = [of_trigger(name, notes) or name for name in sorted(failing)]
    count = (body["spec"].get("fallback") or {}).get("replicas")
    return f"{count} replicas, while {', '.join(lost) or 'a trigger'} gives no figure"
