"""Rules about what a scaler measures: whether the name is served, and what the figure behind it can be."""

import re
from collections.abc import Iterator

from stoker.advise.lint.names import STACKDRIVER, Asked, Series, asked, series
from stoker.advise.lint.queries import selected
from stoker.advise.lint.reading import Path
from stoker.advise.lint.scaling import agent
from stoker.advise.lint.scaling.agent import absent
from stoker.advise.lint.scaling.around import Around, near
from stoker.advise.lint.scaling.scaler import Metric, Scaler
from stoker.advise.lint.values import some
from stoker.findings import Finding

_MEMORY = re.compile(r"(?i)dcgm_fi_dev_fb_(used|free)|accelerator[|/_]memory_used")
_BUSY = re.compile(r"(?i)dcgm_fi_dev_gpu_util|accelerator[|/_]duty_cycle")


def rules(scaler: Scaler, around: Around) -> Iterator[Finding]:
    """All findings about the names of its metrics."""
    release = around.release(scaler)
    for metric in scaler.metrics:
        if metric.source in ("Resource", "ContainerResource"):
            continue
        if metric.query is not None:
            yield from _query(scaler, metric, around, release)
        elif metric.trigger == "":
            yield from _name(scaler, metric, around, release)
        if around.engines(scaler):
            yield from _gpu(scaler, metric)


def _gpu(scaler: Scaler, metric: Metric) -> Iterator[Finding]:
    """What a GPU says of itself."""
    found = metric.name if metric.query is None else " ".join(sorted(selected(metric.query).names))
    for pattern, case in ((_MEMORY, "memory"), (_BUSY, "busy")):
        match = pattern.search(found)
        if match is not None:
            yield scaler.one.finding("hpa-gpu", _at(metric), case, asked=_word(found, match))


def _word(names: str, match: re.Match[str]) -> str:
    """The whole name that a pattern is found in."""
    start = names.rfind(" ", 0, match.start()) + 1
    return names[start:].partition(" ")[0]


def _at(metric: Metric) -> Path:
    """Where its name or query stands."""
    return (
        (*metric.path, "metadata", "query") if metric.query is not None else (*metric.path, "metric", "name")
    )


def _name(scaler: Scaler, metric: Metric, around: Around, release: str) -> Iterator[Finding]:
    """An HPA's own name."""
    given, at = asked(metric.name), _at(metric)
    if given.back_end == "agent":
        yield from _agent(scaler, at, given, around)
        return
    found = series(given.series, release)
    if not found.name.startswith("vllm:"):
        return
    if given.back_end == "stackdriver":
        if given.series == found.name or not around.renamed:
            yield from _stackdriver(scaler, metric, given, found, release)
        return
    served = around.served
    if metric.name in around.recorded or (served is not None and metric.name in served.names):
        return
    if served is not None and served.whole and not (served.defaults and metric.name == found.name):
        names = some(served.names) or "nothing"
        said = {"asked": metric.name, "place": served.at, "served": names}
        yield scaler.one.finding("hpa-metric", at, "rules", **said)
    elif metric.name == found.name:
        yield from absent(scaler.one, at, found, release)
    elif found.change is not None:
        said = {"asked": metric.name, "release": release, "why": found.change.why(release)}
        instead = found.change.fix or "a metric of its /metrics page"
        yield scaler.one.finding("hpa-metric", at, "made of", **said, instead=instead)


def _stackdriver(
    scaler: Scaler, metric: Metric, given: Asked, found: Series, release: str
) -> Iterator[Finding]:
    """A name of managed Prometheus: `prometheus.googleapis.com|SERIES|KIND`."""
    at, said = _at(metric), {"asked": metric.name, "series": found.name, "kind": found.kind}
    name = f"{found.name}_total" if found.verdict == "counter" else found.name
    if found.verdict in ("gone", "unlisted"):
        yield from absent(scaler.one, at, found, release)
        return
    if (
        found.verdict in ("other", "conditional")
        or not found.kind
        or (found.kind == "histogram" and found.verdict == "there")
    ):
        return
    instead = f"{STACKDRIVER}|{name}|{found.kind}"
    if "/" in metric.name:
        yield scaler.one.finding("hpa-metric", at, "slash", **said, instead=instead)
    elif given.series != found.name:
        yield scaler.one.finding("hpa-metric", at, "colon", **said, instead=instead)
    elif not given.kind:
        yield scaler.one.finding("hpa-metric", at, "no kind", **said, instead=instead)
    elif given.series != name or (given.kind != found.kind and not given.kind.startswith("unknown")):
        yield scaler.one.finding("hpa-metric", at, "kind", **(said | {"series": name}), instead=instead)


def _agent(scaler: Scaler, at: Path, given: Asked, around: Around) -> Iterator[Finding]:
    """A name of GKE's AutoscalingMetric: `autoscaling.gke.io|OBJECT|METRIC`."""
    objects = [one for one in around.of("AutoscalingMetric") if near(one, scaler.one)]
    if not objects:
        return
    named = next((one for one in objects if one.name == given.series), None)
    if named is None:
        others = some(one.name for one in objects)
        yield scaler.one.finding("hpa-metric", at, "object", object=given.series, others=others)
        return
    names = agent.names(named)
    if names and given.kind not in names:
        said = {"object": named.name, "asked": given.kind, "others": some(names)}
        yield scaler.one.finding("hpa-metric", at, "exposed", **said)


def _query(scaler: Scaler, metric: Metric, around: Around, release: str) -> Iterator[Finding]:
    """The series of a KEDA query."""
    text_of = metric.query or ""
    at = _at(metric)
    for name in sorted(selected(text_of).names):
        found = series(name, release)
        if name in around.recorded or not found.name.startswith("vllm:"):
            continue
        yield from absent(scaler.one, at, found, release)
        if name != found.name and found.verdict in ("there", "counter", "histogram") and not around.renamed:
            instead = f"{found.name}_total" if found.verdict == "counter" else found.name
            yield scaler.one.finding("hpa-metric", at, "underscore", asked=name, instead=instead)
        elif found.verdict == "counter" or (found.verdict == "histogram" and "histogram_" not in text_of):
            yield scaler.one.finding("hpa-metric", at, "series", asked=name, **_series(found))


def _series(found: Series) -> dict[str, str]:
    """What a family without a series of its own name is served as."""
    if found.verdict == "counter":
        return {
            "kind": "counter",
            "series": f"{found.name}_total",
            "instead": f"rate({found.name}_total[1m])",
        }
    parts = f"{found.name}_bucket, _sum and _count"
    mean = f"rate({found.name}_sum[1m]) / rate({found.name}_count[1m])"
    return {"kind": "histogram", "series": parts, "instead": f"{mean}, each summed over the replicas"}
