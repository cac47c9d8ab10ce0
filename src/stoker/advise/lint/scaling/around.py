"""What stands around the scalers in the files of one run: workloads, quotas, rules of adapters, alerts."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stoker.advise.lint import promql
from stoker.advise.lint.names import asked, series
from stoker.advise.lint.reading import Manifest
from stoker.advise.lint.scaling.scaler import DEFAULT_NAMESPACE, HPA, KEDA, Scaler
from stoker.advise.lint.scaling.workload import Workload
from stoker.advise.lint.values import listed, table, text
from stoker.catalog import vllm

KINDS = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "LeaderWorkerSet"})
RECORDING = frozenset({"PrometheusRule", "Rules", "ClusterRules", "GlobalRules"})
_GROUPED = re.compile(r"\bby\s*\(\s*<<\.GroupBy>>\s*\)")
_LITERAL = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")


@dataclass(frozen=True, slots=True)
class Served:
    """What a Prometheus adapter's rules serve. names: with the query behind each.

    whole: whether these are all; patterns and the chart's own rules serve others too.
    """

    names: Mapping[str, str]
    whole: bool
    defaults: bool
    at: str


@dataclass(frozen=True)
class Around:
    """All objects of the files, for the rules about scalers."""

    everything: Sequence[Manifest] = field(repr=False)

    @cached_property
    def scalers(self) -> tuple[Scaler, ...]:
        """All that scale, in order."""
        return tuple(Scaler(one) for one in self.everything if one.kind in (HPA, KEDA))

    @cached_property
    def workloads(self) -> tuple[Workload, ...]:
        """All that can be scaled."""
        return tuple(Workload(one) for one in self.everything if one.kind in KINDS)

    @cached_property
    def _by_object(self) -> Mapping[int, Scaler]:
        return {id(scaler.one): scaler for scaler in self.scalers}

    def scaler(self, one: Manifest) -> Scaler | None:
        """The scaler that an object is; None where it is none."""
        return self._by_object.get(id(one))

    @cached_property
    def _by_kind(self) -> Mapping[str, list[Manifest]]:
        out: dict[str, list[Manifest]] = {}
        for one in self.everything:
            out.setdefault(one.kind, []).append(one)
        return out

    def of(self, *kinds: str) -> list[Manifest]:
        """All objects of some kinds."""
        return [one for kind in kinds for one in self._by_kind.get(kind, ())]

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], list[Workload]]:
        out: dict[tuple[str, str], list[Workload]] = {}
        for one in self.workloads:
            out.setdefault((one.one.kind, one.one.name), []).append(one)
        return out

    @cached_property
    def _by_target(self) -> Mapping[tuple[str, str], list[Scaler]]:
        out: dict[tuple[str, str], list[Scaler]] = {}
        for one in self.scalers:
            if one.target is not None:
                out.setdefault((one.target.kind, one.target.name), []).append(one)
        return out

    def before(self, scaler: Scaler) -> list[Scaler]:
        """Those with a target of the same kind and name that stand before it."""
        target = scaler.target
        all_of = self._by_target.get((target.kind, target.name), []) if target is not None else []
        return all_of[: next((index for index, one in enumerate(all_of) if one is scaler), 0)]

    @cached_property
    def patches(self) -> frozenset[tuple[str, str]]:
        """Kinds and names of scalers that stand here more than once: as an object and its patches."""
        count = Counter((one.one.kind, one.one.name) for one in self.scalers)
        return frozenset(name for name, times in count.items() if times > 1)

    def workload(self, scaler: Scaler) -> Workload | None:
        """What a scaler moves, where it is in the files: by kind and name, in its namespace or in one that is
        not written."""
        target = scaler.target
        if target is None:
            return None
        found = self._by_name.get((target.kind, target.name), ())
        return next((one for one in found if near(one.one, scaler.one)), None)

    def release(self, scaler: Scaler) -> str:
        """vLLM's release that a scaler's metrics are of: its workload's, or the catalog's own."""
        workload = self.workload(scaler)
        return (workload.release if workload else None) or vllm.DEFAULT

    def engines(self, scaler: Scaler) -> bool:
        """Whether it scales an engine: its workload runs one, or it is not here and a metric is
        an engine's."""
        workload = self.workload(scaler)
        if workload is not None:
            return workload.engine is not None
        release = vllm.DEFAULT
        return any(
            series(name, release).engines
            for one in scaler.metrics
            for name in (promql.read(one.query).names or () if one.query else (asked(one.name).series,))
        )

    @cached_property
    def served(self) -> Served | None:
        """What the adapter's rules of the files serve; None where there are none."""
        rules = [(one, part) for one in self.everything for part in _adapters(one)]
        if not rules:
            return None
        names: dict[str, str] = {}
        whole, defaults = True, False
        for _, part in rules:
            defaults |= part.get("default") is not False
            for rule in (
                *listed(part.get("custom")),
                *listed(part.get("external")),
                *listed(part.get("rules")),
            ):
                name = _name(table(rule))
                whole &= name is not None
                names |= {} if name is None else {name: _query(table(rule))}
            whole &= part.get("existing") is None
        return Served(names, whole, defaults, rules[0][0].at("rules"))

    @cached_property
    def recorded(self) -> frozenset[str]:
        """Series that recording rules of the files make."""
        return frozenset(text(rule.get("record")) for rule in self._rules if rule.get("record"))

    @cached_property
    def renamed(self) -> bool:
        """Whether a scrape of the files gives series other names."""
        kinds = ("PodMonitor", "ServiceMonitor", "PodMonitoring", "ClusterPodMonitoring")
        keys = (path[-1] for one in self.of(*kinds) for path in one.lines if path)
        return any(str(key).startswith("metricRelabel") for key in keys)

    @cached_property
    def watched(self) -> bool:
        """Whether an alert of the files looks at KEDA's failures, or at an HPA that does not act."""
        said = ("keda_", "kube_horizontalpodautoscaler_status_condition", "ScalingActive")
        alerts = [text(rule.get("expr")) for rule in self._rules if rule.get("alert")]
        return any(word in one for one in alerts for word in said)

    @cached_property
    def _rules(self) -> list[Mapping[str, Any]]:
        groups = [
            table(group)
            for one in self.everything
            if one.kind in RECORDING or "groups" in one.body
            for group in listed(one.get("spec", "groups", default=one.get("groups")))
        ]
        return [table(rule) for group in groups for rule in listed(group.get("rules"))]


def same(one: Manifest, other: Manifest) -> bool:
    """Whether two objects stand in one namespace; one that names none stands in `default`."""
    return (one.namespace or DEFAULT_NAMESPACE) == (other.namespace or DEFAULT_NAMESPACE)


def near(one: Manifest, other: Manifest) -> bool:
    """Whether they may stand in one namespace: equal, or not written in one of them."""
    return one.namespace is None or other.namespace is None or one.namespace == other.namespace


def _adapters(one: Manifest) -> Iterator[Mapping[str, Any]]:
    """The rules of a Prometheus adapter: in its chart's values, in those of a chart around it, or as its
    ConfigMap has them."""
    if one.kind == "ConfigMap":
        if any("seriesQuery" in text(value) for value in table(one.get("data")).values()):
            yield {"existing": True, "default": False}  # a text in a text: that it serves something is enough
    elif not one.kind:
        for rules in (one.get("rules"), one.get("prometheus-adapter", "rules")):
            if isinstance(rules, dict) and any(name in rules for name in ("custom", "external")):
                yield rules
            elif isinstance(rules, list) and any("seriesQuery" in table(rule) for rule in rules):
                yield {"custom": rules, "default": False}


def _name(rule: Mapping[str, Any]) -> str | None:
    """What a rule calls its metric; None where that is made from a pattern."""
    naming = table(rule.get("name"))
    given = text(naming.get("as"))
    if given:
        return given if "$" not in given else None
    if not naming.get("matches"):
        match = _LITERAL.match(text(rule.get("seriesQuery")))
        return match[0] if match else None
    return None


def _query(rule: Mapping[str, Any]) -> str:
    """Its query with its parts filled in as far as that tells what comes out."""
    match = _LITERAL.match(text(rule.get("seriesQuery")))
    out = _GROUPED.sub("", text(rule.get("metricsQuery")))
    filled = {".Series": match[0] if match else "", ".LabelMatchers": ""}
    for name, value in filled.items():
        out = out.replace(f"<<{name}>>", value)
    return out
