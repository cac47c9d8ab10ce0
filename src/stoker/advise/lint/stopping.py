"""Rules over how an engine's pods go and come: their last requests, a rollout, a drained node."""

import re
from collections.abc import Iterator, Sequence

from stoker.advise.lint.engines import Engine
from stoker.advise.lint.reading import Manifest
from stoker.advise.lint.values import listed, table, text, whole
from stoker.findings import Finding

DEFAULT_GRACE = 30  # seconds
_SLEEP = re.compile(r"\bsleep\s+(\d{1,5})\b")


def rules(engine: Engine, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """All findings about the pods of one engine."""
    if engine.pod.role in ("batch", "managed"):
        return
    one = engine.one
    yield from _drain(engine)
    if engine.pod.spec.get("enableServiceLinks") is not False:
        yield one.finding("service-links", engine.pod.at)
    if one.kind == "Deployment" and not engine.devices.none:
        yield from _strategy(one)
    kinds = ("Deployment", "LeaderWorkerSet")
    if one.kind in kinds and not any(o.kind == "PodDisruptionBudget" for o in everything):
        yield one.finding("budget", ("metadata",), "none")


def _drain(engine: Engine) -> Iterator[Finding]:
    """What becomes of requests in progress."""
    one, at = engine.one, engine.pod.at
    grace = whole(engine.pod.spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE))
    stop = table(table(engine.container.get("lifecycle")).get("preStop"))
    if grace is None:
        return
    waits = _waits(stop)
    if stop and waits is not None and waits >= grace:
        yield one.finding("drain", at, "long", grace=grace, waits=waits)
    elif grace <= DEFAULT_GRACE:
        yield one.finding("drain", at, "short" if stop else "no preStop", grace=grace)
    elif not stop:
        yield one.finding("prestop", at, grace=grace)


def _waits(stop: object) -> int | None:
    """Seconds that a preStop sleeps, where it does nothing else that is seen."""
    given = table(stop)
    slept = whole(table(given.get("sleep")).get("seconds"))
    if slept is not None:
        return slept
    said = " ".join(text(one) for one in listed(table(given.get("exec")).get("command")))
    match = _SLEEP.search(said)
    return int(match[1]) if match else None


def _strategy(one: Manifest) -> Iterator[Finding]:
    rolling = table(one.get("spec", "strategy", "rollingUpdate"))
    where = ("spec", "strategy") if one.get("spec", "strategy") else ("spec",)
    none = ("0", "0%")
    surge, gone = (str(rolling[key]) if key in rolling else None for key in ("maxSurge", "maxUnavailable"))
    if surge in none and gone in none:
        yield one.finding("strategy", where, "nothing")
    elif one.get("spec", "strategy", "type") != "Recreate" and surge is None and gone in (None, *none):
        yield one.finding("strategy", where, "spare")


def budgets(one: Manifest) -> Iterator[Finding]:
    """A PodDisruptionBudget that lets no pod go."""
    most, least = str(one.get("spec", "maxUnavailable")), str(one.get("spec", "minAvailable"))
    if most in ("0", "0%") or least == "100%":
        key = "maxUnavailable" if most in ("0", "0%") else "minAvailable"
        yield one.finding("budget", ("spec", key), "blocks", field=key, value=one.get("spec", key))
