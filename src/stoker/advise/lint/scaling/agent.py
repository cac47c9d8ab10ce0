"""Rules about GKE's AutoscalingMetric: gauges of a page, read by an agent on the node.

Source: https://docs.cloud.google.com/kubernetes-engine/docs/how-to/expose-custom-metrics-autoscaling
"""

from collections.abc import Iterator, Mapping
from typing import Any

from stoker.advise.lint.names import Series, series
from stoker.advise.lint.reading import Manifest, Path
from stoker.advise.lint.scaling.around import Around, near
from stoker.advise.lint.values import listed, table, text
from stoker.catalog import vllm
from stoker.findings import Finding

KIND = "AutoscalingMetric"


def gauges(one: Manifest) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """What it reads, with the paths; also where a gauge's fields stand beside it, as in an example of
    GKE's pages."""
    for index, given in enumerate(listed(one.get("spec", "metrics"))):
        containers = listed(table(table(given).get("pod")).get("containers"))
        for place, container in enumerate(containers):
            for number, entry in enumerate(listed(table(container).get("metrics"))):
                path: Path = ("spec", "metrics", index, "pod", "containers", place, "metrics", number)
                gauge = table(table(entry).get("gauge"))
                yield ((*path, "gauge"), gauge) if gauge else (path, table(entry))


def names(one: Manifest) -> list[str] | None:
    """What an HPA may ask it for; None where it also reads other things than pods."""
    if any(table(given).get("pod") is None for given in listed(one.get("spec", "metrics"))):
        return None
    return [text(gauge.get("name")) for _, gauge in gauges(one)]


def rules(one: Manifest, around: Around) -> Iterator[Finding]:
    """All findings about its names."""
    releases = [w.release for w in around.workloads if w.engine is not None and near(w.one, one)]
    release = (releases[0] if releases else None) or vllm.DEFAULT
    for path, gauge in gauges(one):
        key = "prometheusMetricName" if gauge.get("prometheusMetricName") is not None else "name"
        given = text(gauge.get(key))
        found = series(given, release)
        if found.name.startswith("vllm:"):
            yield from _gauge(one, (*path, key), given, found, release)


def _gauge(one: Manifest, at: Path, given: str, found: Series, release: str) -> Iterator[Finding]:
    if found.verdict in ("gone", "unlisted"):
        yield from absent(one, at, found, release)
    elif found.engines and found.kind != "gauge":
        yield one.finding("hpa-metric", at, "gauges", series=found.name, kind=found.kind)
    elif found.engines and given != found.name:
        yield one.finding("hpa-metric", at, "page", asked=given, instead=found.name)


def absent(one: Manifest, at: Path, found: Series, release: str) -> Iterator[Finding]:
    """A name that no engine of the release has."""
    said = {"release": release, "metric": found.name}
    if found.change is not None:
        why, instead = found.change.why(release), found.change.fix or "a metric of its /metrics page"
        yield one.finding("metric", at, "gone", **said, why=why, instead=instead)
    elif found.verdict == "unlisted":
        yield one.finding("metric", at, "unlisted", **said)
