"""Metric names in objects: alerts and recording rules, an adapter's rules, and texts that name a metric."""

import re
from collections.abc import Iterator

from stoker.advise.lint.names import ENGINE, Series, colon, every, perhaps, series
from stoker.advise.lint.queries import matches, selected
from stoker.advise.lint.reading import Manifest, Path
from stoker.catalog import vllm
from stoker.findings import Finding

_SCALERS = frozenset({"HorizontalPodAutoscaler", "ScaledObject", "AutoscalingMetric"})
_QUERIES = frozenset({"expr", "query", "seriesQuery", "metricsQuery", "prometheusQuery", "promql"})
# A name in any other text: no image's with its tag, no pattern's, no module's.
_NAMED = re.compile(r"(?<![\w/.:-])vllm:[a-z][a-z0-9_]*(?![\w.:*+\[({|\\])")
_SKIPPED = frozenset({"command", "args", "description", "summary", "annotations", "image"})


def rules(one: Manifest) -> Iterator[Finding]:
    """Names that today's vLLM does not have; a scaler's own are read with its workload's release."""
    if one.kind in _SCALERS:
        return
    for path, text in one.texts():
        if "vllm" not in text:
            continue
        if path[-1] in _QUERIES:
            for case, found, said in spoken(text, vllm.DEFAULT):
                yield _told(one, path, case, found, said)
        elif _SKIPPED.isdisjoint(str(part) for part in path):
            for name in dict.fromkeys(_NAMED.findall(text)):
                found = series(name, vllm.DEFAULT)
                if found.verdict == "gone":
                    yield _told(one, path, "gone", found, name)


def _told(one: Manifest, path: Path, case: str, found: Series | None, name: str) -> Finding:
    said = {"release": vllm.DEFAULT, "metric": name}
    return one.finding("metric", path, case, **said, **reasons(found, vllm.DEFAULT))


def reasons(found: Series | None, release: str) -> dict[str, str]:
    """Why a series is not there, and what is."""
    if found is None:
        return {}
    if found.change is not None:
        return {
            "why": found.change.why(release),
            "instead": found.change.fix or "a metric of its /metrics page",
        }
    parts = f"{found.name}_bucket, _sum and _count"
    return {"instead": f"{found.name}_total" if found.verdict == "counter" else parts, "now": found.name}


def spoken(query: str, release: str) -> Iterator[tuple[str, Series | None, str]]:
    """What is wrong with the names of a query: the rule's case, the series, the name as it is written."""
    asked = selected(query)
    for name in sorted(asked.names):
        found = series(name, release)
        if not found.name.startswith(ENGINE) or "UNKNOWN" in name:
            continue
        if found.verdict == "gone":
            yield "gone", found, name
        elif found.verdict == "unlisted" and name == found.name:
            yield "unlisted", found, name
        elif found.verdict == "counter" or (found.verdict == "histogram" and not asked.quantile):
            yield found.verdict, found, name
        elif name != colon(name) and found.verdict == "there":
            yield "underscore", found, name
    for pattern in sorted(asked.patterns):
        if "vllm" in pattern and not perhaps(pattern) and matches(pattern, every(release)) is False:
            yield "pattern", None, pattern
