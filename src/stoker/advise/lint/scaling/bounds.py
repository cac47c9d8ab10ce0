"""Rules over one scaler by itself: replicas and targets that the API refuses, and the way from zero."""

import re
from collections.abc import Iterator

from stoker.advise.lint import promql
from stoker.advise.lint.names import asked, series
from stoker.advise.lint.scaling.around import Around
from stoker.advise.lint.scaling.pace import stuck_at_zero, way
from stoker.advise.lint.scaling.scaler import Metric, Scaler
from stoker.advise.lint.values import table, text, whole
from stoker.findings import Finding

_GONE = {"autoscaling/v2beta1": "1.25", "autoscaling/v2beta2": "1.26"}


def rules(scaler: Scaler, around: Around) -> Iterator[Finding]:
    """All findings about the scaler itself."""
    api = text(scaler.one.body.get("apiVersion"))
    if api in _GONE:
        yield scaler.one.finding("hpa-api", ("apiVersion",), api=api, since=_GONE[api])
    yield from _replicas(scaler)
    yield from _targets(scaler)
    yield from _zero(scaler, around)
    behavior = scaler.behavior or {}
    if all(table(behavior.get(way)).get("selectPolicy") == "Disabled" for way in ("scaleUp", "scaleDown")):
        yield scaler.one.finding("hpa-disabled", scaler.behavior_at)


def _replicas(scaler: Scaler) -> Iterator[Finding]:
    least, most = scaler.least, scaler.most
    if most is not None and most < 1:
        yield scaler.one.finding("hpa-bounds", scaler.most_at, "most", most=most, field=scaler.most_at[-1])
    elif least is not None and most is not None and least > most:
        said = {"least": least, "most": most, "field": scaler.most_at[-1]}
        yield scaler.one.finding("hpa-bounds", scaler.least_at, "replicas", **said)
    idle = whole(scaler.one.get("spec", "idleReplicaCount"))
    least = max(1, least) if least is not None else None  # KEDA's HPA has one at least
    if scaler.keda and idle is not None and least is not None and idle >= least:
        yield scaler.one.finding("hpa-bounds", ("spec", "idleReplicaCount"), "idle", idle=idle, least=least)


def _targets(scaler: Scaler) -> Iterator[Finding]:
    for metric in scaler.metrics:
        if metric.target is not None and metric.target <= 0 and not scaler.composed:
            yield scaler.one.finding("hpa-bounds", metric.at, "target", value=metric.written)
        if metric.source == "Pods" and metric.how in ("Value", "Utilization"):
            yield scaler.one.finding("hpa-bounds", metric.at, "pods")


def _zero(scaler: Scaler, around: Around) -> Iterator[Finding]:
    """Nothing that has a figure while there is no pod."""
    if scaler.most == 0 or not scaler.metrics or scaler.composed:
        return
    idle = scaler.keda and whole(scaler.one.get("spec", "idleReplicaCount")) == 0
    if scaler.least != 0 and not idle:
        return
    sources = {one.source for one in scaler.metrics}
    at = ("spec", "idleReplicaCount") if idle else scaler.least_at
    if scaler.keda and sources <= {"Resource"}:
        yield scaler.one.finding("scale-from-zero", at, "resources")
    elif not scaler.keda and not sources & {"External", "Object"}:
        yield scaler.one.finding("scale-from-zero", at, "pods")
    elif all(_of_engines(one, scaler, around) for one in scaler.metrics) and not _kept(scaler):
        said = ", ".join(dict.fromkeys(_shown(one) for one in scaler.metrics))
        instead = "leave idleReplicaCount out" if idle else f"{scaler.least_at[-1]}: 1"
        yield scaler.one.finding("scale-from-zero", at, "engines", metrics=said, instead=instead)
    elif not scaler.keda and stuck_at_zero(way(scaler.behavior, "scaleUp")):  # KEDA takes the first step
        yield scaler.one.finding("scale-from-zero", scaler.behavior_at, "percent")


def _of_engines(metric: Metric, scaler: Scaler, around: Around) -> bool:
    """Whether only engines count it: without a pod there is no such series."""
    if metric.source in ("Pods", "Resource", "ContainerResource"):
        return True
    release = around.release(scaler)
    if metric.query is None:
        name = asked(metric.name)
        return name.back_end == "stackdriver" and series(name.series, release).engines
    query = promql.read(metric.query)
    made = re.search(r"\b(vector\s*\(\s*(?!0\s*\))|absent|time\s*\(|_over_time|bool)", metric.query)
    names = query.names
    if not names or made or names & around.recorded:
        return False
    return all(series(one, release).engines for one in names)


def _kept(scaler: Scaler) -> bool:
    """Whether a missing figure is a failure there, and the fallback is more than 0."""
    strict = [
        text(scaler.one.get(*one.path, "metadata", "ignoreNullValues")).lower() == "false"
        or scaler.one.get(*one.path, "metadata", "ignoreNullValues") is False
        for one in scaler.metrics
    ]
    return any(strict) and scaler.one.get("spec", "fallback") is not None


def _shown(metric: Metric) -> str:
    """A metric in a few words."""
    if metric.query is None:
        return metric.name
    names = promql.read(metric.query).names
    return ", ".join(sorted(names)) if names else metric.query[:60]
