"""Rules about the figure that is compared: can it pass its target, and is it the one that was meant?"""

import math
from collections.abc import Iterator

from stoker.advise.lint import promql
from stoker.advise.lint.names import asked, colon, series
from stoker.advise.lint.promql import Query
from stoker.advise.lint.scaling.around import Around
from stoker.advise.lint.scaling.scaler import TOLERANCE, Metric, Scaler
from stoker.advise.lint.values import figure, quantity, table
from stoker.findings import Finding

RUNNING, WAITING = "vllm:num_requests_running", "vllm:num_requests_waiting"
CACHE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
# What is one figure for the whole fleet, of which a replica has no share.
NO_SUM = frozenset({"avg", "max", "min", "quantile", "histogram_quantile"})
PERCENT = 1.5  # a target of the cache's share above it is meant in percent


def rules(scaler: Scaler, around: Around) -> Iterator[Finding]:
    """All findings about what its metrics can be."""
    if scaler.composed:
        return
    release = around.release(scaler)
    for metric in scaler.metrics:
        query = _query(metric, around)
        yield from _reach(scaler, metric, query, around)
        engines = bool(query and query.names) and all(
            series(one, release).engines and one not in around.recorded
            for one in (query.names or () if query else ())
        )
        if scaler.most is None or scaler.most > 1:
            yield from _sum(scaler, metric, query, engines)
            if query is not None and metric.query and engines:
                yield from _several(scaler, metric, query)


def _query(metric: Metric, around: Around) -> Query | None:
    """The query behind a metric: KEDA's, or that of the adapter's rule, where it is in the files."""
    if metric.query is not None:
        return promql.read(metric.query)
    served = around.served
    if metric.source in ("External", "Object") and served is not None and metric.name in served.names:
        return promql.read(served.names[metric.name])
    return None


def tolerance(scaler: Scaler) -> float:
    """How far above its target a figure may be before the HPA adds a replica, as a share."""
    given = quantity(table((scaler.behavior or {}).get("scaleUp")).get("tolerance"))
    return TOLERANCE if given is None or given < 0 else given


def never(target: float, most: float, tolerance: float) -> bool:
    """Whether a figure that is `most` at most never leads to another replica."""
    return target * (1 + tolerance) >= most * (1 - 1e-9)


def _bounded(metric: Metric, query: Query | None) -> str | None:
    """The series whose value on one replica is what is compared; None where that is not plain."""
    if query is None:
        given = asked(metric.name)
        plain = metric.source == "Pods" and metric.how == "AverageValue"
        total = (
            given.back_end == "stackdriver" and metric.source == "External" and metric.how == "AverageValue"
        )
        return colon(given.series) if plain or (total and not metric.selector) else None
    inside = query.inside or ""
    if (
        not query.names
        or len(query.names) != 1
        or not (inside == "selector" or inside.endswith("_over_time"))
    ):
        return None
    total = query.outer == "sum" and metric.how == "AverageValue"
    mean = query.outer in ("avg", "max", "min") and metric.how == "Value"
    return colon(next(iter(query.names))) if (total or mean) and query.one else None


def _reach(scaler: Scaler, metric: Metric, query: Query | None, around: Around) -> Iterator[Finding]:
    """A target that the figure of a replica never passes."""
    name, target, slack = _bounded(metric, query), metric.target, tolerance(scaler)
    if target is None or target <= 0 or name is None:
        return
    workload = around.workload(scaler)
    said = {"value": metric.written, "tolerance": figure(slack * 100)}
    if name == RUNNING and workload is not None and workload.running is not None:
        most, says = workload.running
        if never(target, most, slack):
            below = figure(math.ceil(most / (1 + slack)) - 1)
            more = {"most": str(most), "says": says, "below": below, "instead": WAITING}
            yield scaler.one.finding("hpa-unreachable", metric.at, "running", **said, **more)
    elif name in CACHE:
        engines = 1 if workload is None or workload.engine is None else workload.engines
        if engines and never(target, engines, slack):
            percent = target > PERCENT * engines
            share = f"{target / 100:g}, a share" if target <= 100 else "0.8, a share"
            more = {
                "percent": figure(target * 100),
                "share": share,
                "below": figure(round(engines / (1 + slack), 2)),
            }
            yield scaler.one.finding(
                "hpa-unreachable", metric.at, "percent" if percent else "cache", **said, **more
            )


def _sum(scaler: Scaler, metric: Metric, query: Query | None, engines: bool) -> Iterator[Finding]:
    """A sum that is compared as one replica's figure, or one replica's figure that is shared as a sum."""
    if metric.source not in ("External", "Object") or metric.target is None:
        return
    at, said = metric.at, {"value": metric.written, "most": scaler.most or "maxReplicas"}
    if metric.how == "Value" and _total(metric, query, engines):
        instead = "metricType: AverageValue" if scaler.keda else "type: AverageValue with averageValue"
        yield scaler.one.finding("hpa-figure", at, "value", **said, instead=instead)
    elif metric.how == "AverageValue" and query is not None and engines and query.outer in NO_SUM:
        kind = "metricType: Value" if scaler.keda else "type: Value with value"
        instead = (
            kind if query.outer == "histogram_quantile" else f"sum(…) in place of {query.outer}(…), or {kind}"
        )
        yield scaler.one.finding("hpa-figure", at, "average", **said, outer=query.outer, instead=instead)


def _total(metric: Metric, query: Query | None, engines: bool) -> bool:
    """Whether the figure is a sum over all replicas: an External metric's series are added up."""
    if query is not None:
        return query.outer == "sum" and query.one and engines
    given = asked(metric.name)
    plain = (
        given.back_end == "stackdriver" and metric.source == "External" and "reducer" not in metric.selector
    )
    return plain and colon(given.series) in (RUNNING, WAITING, *CACHE)


def _several(scaler: Scaler, metric: Metric, query: Query) -> Iterator[Finding]:
    """A query that returns a series for each replica."""
    words = query.inner.split()
    one = any(words[index : index + 2] in (["pod", "="], ["instance", "="]) for index in range(len(words)))
    split = (
        any(label in (query.by or "").split() for label in ("pod", "instance"))
        and "by" in (query.by or "").split()
    )
    if one or query.outer is None:
        return
    if not query.aggregates or split:
        at = (*metric.path, "metadata", "query")
        shown = (metric.query or "").strip()
        instead = shown if len(shown) <= 80 and "\n" not in shown else "…"
        yield scaler.one.finding("keda-query", at, query=instead)
