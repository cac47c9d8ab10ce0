"""Rules about what KEDA has beside the HPA that it makes: its fallback, its way to zero."""

from collections.abc import Iterator
from typing import Any

from stoker.advise.lint.scaling.around import Around
from stoker.advise.lint.scaling.scaler import Scaler
from stoker.advise.lint.values import table, text, whole
from stoker.findings import Finding

# Behaviors under which the fallback is not the number that is written.
_CURRENT = ("currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower", "scalingModifiers")


def rules(scaler: Scaler, around: Around) -> Iterator[Finding]:
    """All findings about a ScaledObject's own fields."""
    if not scaler.keda:
        return
    yield from _cooldown(scaler)
    given = table(scaler.one.get("spec", "fallback"))
    if not given:
        return
    at = ("spec", "fallback")
    types = {one.trigger for one in scaler.metrics}
    if types and types <= {"cpu", "memory"} and not scaler.composed:
        yield scaler.one.finding("keda-fallback", at, "resources")
        return
    yield from _range(scaler, given.get("replicas"), text(given.get("behavior")))
    if any(one.how == "Value" for one in scaler.metrics) and not scaler.composed:
        yield scaler.one.finding("keda-fallback", at, "value")
    if not around.watched and text(given.get("behavior")) not in _CURRENT:
        said = {
            "failures": text(given.get("failureThreshold")) or "some",
            "replicas": text(given.get("replicas")),
        }
        yield scaler.one.finding("keda-fallback", at, "silent", **said)


def _range(scaler: Scaler, replicas: object, behavior: str) -> Iterator[Finding]:
    """A fallback that the HPA does not go to."""
    count, least, most = whole(replicas), scaler.least, scaler.most
    if count is None or least is None or most is None or least > most or behavior in _CURRENT:
        return
    kept = min(max(count, least, 1), most)
    if count != kept and (count or least):
        said = {
            "replicas": count,
            "least": least,
            "most": most,
            "kept": kept,
            "instead": f"fallback: {{replicas: {kept}}}",
        }
        yield scaler.one.finding("keda-fallback", ("spec", "fallback", "replicas"), "range", **said)


def _cooldown(scaler: Scaler) -> Iterator[Finding]:
    """A wait for the last replica, which never goes."""
    seconds, idle = scaler.one.get("spec", "cooldownPeriod"), scaler.one.get("spec", "idleReplicaCount")
    if seconds is not None and idle is None and scaler.least is not None and scaler.least > 0:
        said: dict[str, Any] = {
            "least": scaler.least,
            "seconds": text(seconds) or "300",
            "field": "cooldownPeriod",
        }
        said["instead"] = ".".join(str(part) for part in scaler.behavior_at[1:])
        yield scaler.one.finding("keda-cooldown", ("spec", "cooldownPeriod"), **said)
