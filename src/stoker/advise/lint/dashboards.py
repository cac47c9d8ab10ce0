"""Dashboards, Grafana's JSON and Cloud Monitoring's alike: series that a release of vLLM has no more.

Queries are read where queries stand, so that a title names what it likes. `fixed` writes today's name of a
metric where the query keeps its meaning, and leaves every other character as it is.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from stoker.advise.lint.expressions import reasons, spoken
from stoker.advise.lint.names import Series, series
from stoker.advise.lint.queries import parsed, selected
from stoker.bounds import read_json
from stoker.catalog.rules import rule
from stoker.findings import Finding

KEYS = ("expr", "query", "definition", "prometheusQuery", "timeSeriesQueryLanguage", "filter", "promql")
_PAIR = re.compile(rf'"({"|".join(KEYS)})"\s*:\s*("(?:[^"\\]|\\.)*+")')
_GOOGLE = re.compile(r"prometheus\.googleapis\.com/([A-Za-z_:][\w:]*)/(\w+)")
_NAME = re.compile(r"(?<![\w:])vllm[:_][a-zA-Z_][a-zA-Z0-9_]*(?![\w:])")
_RATIOS = {
    "vllm:gpu_prefix_cache_hit_rate": ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total")
}
_ENDS = ("_bucket", "_sum", "_count", "_total")


@dataclass(frozen=True, slots=True)
class _Query:
    """One query: where its JSON text begins and ends, that text, and what it says."""

    start: int
    end: int
    raw: str
    text: str
    key: str

    @property
    def names(self) -> frozenset[str] | None:
        """Metrics of a Google query; None where it is PromQL."""
        found = frozenset(match[1] for match in _GOOGLE.finditer(self.text))
        return found or (frozenset() if self.key in ("filter", "timeSeriesQueryLanguage") else None)


def is_dashboard(text: str) -> bool:
    """Whether a JSON file is a dashboard of either kind, and no Kubernetes object."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        body = read_json(text)
    except ValueError:
        return False
    body = body.get("dashboard", body) if isinstance(body, dict) else {}
    layouts = ("panels", "rows", "mosaicLayout", "gridLayout", "rowLayout", "columnLayout")
    return isinstance(body, dict) and "apiVersion" not in body and any(key in body for key in layouts)


def lint_dashboard(name: str, text: str, release: str) -> tuple[Finding, ...]:
    """A finding for each query's metric that the release does not have, and a note on those of a feature."""
    out: dict[tuple[int, str], Finding] = {}
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    behind: set[str] = set()
    for query in _queries(text):
        line = bisect_right(starts, query.start)
        column = query.start - starts[line - 1] + 1
        for case, found, metric in _wrong(query, release):
            at = f"{name}:{line}:{column + max(0, query.raw.find(metric))}"
            said = {"release": release, "metric": metric, **_fix(case, found, metric, release)}
            out.setdefault((line, metric), rule("dashboard-metric", case).finding(at, **said))
        behind |= {one for one in _named(query) if series(one, release).verdict == "conditional"}
    more = (_behind(name, behind, release), *_unparsed(name, out))
    return (*out.values(), *(one for one in more if one is not None))


def _queries(text: str) -> Iterator[_Query]:
    for match in _PAIR.finditer(text):
        if "vllm" in match[2]:
            try:
                yield _Query(match.start(2), match.end(2), match[2], json.loads(match[2]), match[1])
            except ValueError:
                continue


def _named(query: _Query) -> frozenset[str]:
    return query.names if query.names is not None else selected(query.text).names


def _wrong(query: _Query, release: str) -> Iterator[tuple[str, Series | None, str]]:
    if query.names is None:
        yield from spoken(query.text, release)
        return
    for name in sorted(query.names):  # Google keeps a histogram under its family's name
        found = series(name, release)
        if found.verdict in ("gone", "unlisted"):
            yield found.verdict, found, name


def _fix(case: str, found: Series | None, metric: str, release: str) -> dict[str, str]:
    said = reasons(found, release)
    new = _renamed(metric, release)
    if metric in _RATIOS:
        return said | {
            "instead": "rate({}[5m]) / rate({}[5m])".format(*_RATIOS[metric]) + ", which --fix writes"
        }
    if new and case in ("gone", "counter", "underscore"):
        return said | {"instead": f"{new}, which --fix writes"}
    return said


def _behind(name: str, metrics: set[str], release: str) -> Finding | None:
    """Metrics that a page shows where their feature is in use."""
    if not metrics:
        return None
    some = ", ".join(sorted(metrics)[:4]) + (f" and {len(metrics) - 4} more" if len(metrics) > 4 else "")
    return rule("dashboard-feature").finding(f"{name}:1:1", metrics=some, release=release)


def _unparsed(name: str, found: object) -> tuple[Finding | None, ...]:
    return () if parsed() else (rule("dashboard-parser").finding(f"{name}:1:1"),)


def fixed(text: str, release: str) -> tuple[str, int]:
    """The text with every query that can be mended, and how many names were."""
    out, end, count = "", 0, 0
    for query in _queries(text):
        new, times = _mended(query, release)
        if times:
            out, end, count = out + text[end : query.start] + new, query.end, count + times
    return out + text[end:], count


def _mended(query: _Query, release: str) -> tuple[str, int]:
    """A query's JSON text with its metrics under today's names, and how many were changed."""
    named, count = _named(query), 0

    def now(match: re.Match[str]) -> str:
        nonlocal count
        new = _renamed(match[0], release) if match[0] in named else ""
        count += bool(new)
        return new or match[0]

    new = _NAME.sub(now, query.raw)
    for old, parts in _RATIOS.items():
        if old in named and query.names is None:
            new, times = _divided(new, old, parts)
            count += times
    return new, count


def _divided(query: str, old: str, parts: tuple[str, str]) -> tuple[str, int]:
    """A gauge that became two counters: their ratio, with the same labels, where it is not looked at over
    time."""
    pattern = re.compile(rf"(?<![\w:]){re.escape(old)}(?![\w:])(\s*\{{[^{{}}]*\}})?(?!\s*[\[{{])")
    new, times = pattern.subn(
        lambda m: "(" + " / ".join(f"rate({part}{m[1] or ''}[5m])" for part in parts) + ")", query
    )
    return new, times


def _renamed(name: str, release: str) -> str:
    """Today's name of a series, where it counts the same in the same way; empty where there is none."""
    found = series(name, release)
    if found.verdict == "counter":
        return f"{found.name}_total" if name.startswith("vllm:") else ""
    if found.change is None or not found.change.instead or name in _RATIOS:
        return ""
    old = found.name
    new = f"{found.change.instead}{old.removeprefix(found.change.name)}"
    now = series(new, release)
    ends = next((end for end in _ENDS if old.endswith(end)), "")
    same = now.verdict == "there" and (now.kind == "histogram") == (ends in ("_bucket", "_sum", "_count"))
    return new if same and (now.kind == "counter") == (ends == "_total") else ""
