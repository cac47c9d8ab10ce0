"""What scales, as one noun: an HPA of any version, or KEDA's ScaledObject, which makes an HPA."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stoker.advise.lint.reading import Manifest, Path
from stoker.advise.lint.values import listed, number, quantity, table, text, whole
from stoker.autoscale.policy import Controller

HPA, KEDA = "HorizontalPodAutoscaler", "ScaledObject"
TOLERANCE = Controller().tolerance  # within it nothing moves
DEFAULT_NAMESPACE = "default"
KEDA_MOST = 100  # replicas, where maxReplicaCount is not written
SOURCES: Mapping[str, str] = {
    "Pods": "pods", "External": "external", "Object": "object", "Resource": "resource",
    "ContainerResource": "containerResource",
}  # fmt: skip
_TARGETS = (("averageValue", "AverageValue"), ("value", "Value"), ("averageUtilization", "Utilization"))


@dataclass(frozen=True)
class Metric:
    """One figure that is scaled on, where its part of the object stands.

    source: the HPA's (`Pods`, `External`, …); what KEDA asks is External. how: `AverageValue`, `Value` or
    `Utilization`, empty where none is written. trigger: KEDA's type; query: the PromQL of a Prometheus one.
    selector: which series are asked for, as a text. at: the path of the target's value.
    """

    path: Path
    source: str
    name: str
    how: str
    target: float | None
    at: Path
    written: str = ""
    trigger: str = ""
    query: str | None = None
    selector: str = ""


@dataclass(frozen=True)
class Reference:
    """What is scaled, as it is named."""

    api: str
    kind: str
    name: str

    @property
    def group(self) -> str:
        """The API group; empty for the core's."""
        return self.api.partition("/")[0] if "/" in self.api else ""


@dataclass(frozen=True)
class Scaler:
    """One object that scales."""

    one: Manifest

    @property
    def keda(self) -> bool:
        """Whether it is KEDA's."""
        return self.one.kind == KEDA

    @property
    def space(self) -> str:
        """Its namespace."""
        return self.one.namespace or DEFAULT_NAMESPACE

    @cached_property
    def target(self) -> Reference | None:
        """What it scales; None where that is not written. KEDA's defaults are a Deployment of apps/v1."""
        given = table(self.one.get("spec", "scaleTargetRef"))
        if not given:
            return None
        api, kind = text(given.get("apiVersion")), text(given.get("kind"))
        if self.keda:
            api, kind = api or "apps/v1", kind or "Deployment"
        return Reference(api, kind, text(given.get("name")))

    @property
    def least_at(self) -> Path:
        """Where the fewest replicas stand."""
        return ("spec", "minReplicaCount" if self.keda else "minReplicas")

    @property
    def most_at(self) -> Path:
        """Where the most replicas stand."""
        return ("spec", "maxReplicaCount" if self.keda else "maxReplicas")

    @cached_property
    def least(self) -> int | None:
        """The fewest replicas; None where a text stands there."""
        return self._count(self.least_at, 0 if self.keda else 1)

    @cached_property
    def most(self) -> int | None:
        """The most replicas; None where none are written for an HPA, or a text stands there."""
        return self._count(self.most_at, KEDA_MOST if self.keda else None)

    def _count(self, path: Path, default: int | None) -> int | None:
        found = self.one.get(*path)
        return default if found is None else whole(found)

    @property
    def behavior_at(self) -> Path:
        """Where the HPA's behavior stands."""
        if self.keda:
            return ("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior")
        return ("spec", "behavior")

    @cached_property
    def behavior(self) -> Mapping[str, Any] | None:
        """The HPA's behavior; None where none is written."""
        found = self.one.get(*self.behavior_at)
        return None if found is None else table(found)

    @cached_property
    def composed(self) -> bool:
        """Whether KEDA makes one figure of all triggers by a formula of the user's."""
        return bool(self.one.get("spec", "advanced", "scalingModifiers", "formula"))

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """All figures that it scales on, in order."""
        return tuple(self._triggers() if self.keda else self._metrics())

    def _metrics(self) -> Iterator[Metric]:
        old = self.one.get("spec", "targetCPUUtilizationPercentage")
        if old is not None:
            path = ("spec", "targetCPUUtilizationPercentage")
            yield Metric(path, "Resource", "cpu", "Utilization", number(old), path, text(old))
        for index, given in enumerate(listed(self.one.get("spec", "metrics"))):
            at: Path = ("spec", "metrics", index)
            source = text(table(given).get("type"))
            part = SOURCES.get(source, "")
            inner = table(table(given).get(part))
            if part and inner:
                yield _metric((*at, part), source, inner)

    def _triggers(self) -> Iterator[Metric]:
        for index, given in enumerate(listed(self.one.get("spec", "triggers"))):
            path: Path = ("spec", "triggers", index)
            kind = text(table(given).get("type"))
            data = table(table(given).get("metadata"))
            how = text(table(given).get("metricType")) or "AverageValue"
            if kind in ("cpu", "memory"):
                how = text(table(given).get("metricType")) or "Utilization"
                value = data.get("value")
                at = (*path, "metadata", "value")
                yield Metric(path, "Resource", kind, how, number(value), at, text(value), kind)
                continue
            value, query = data.get("threshold"), text(data.get("query"))
            known = kind == "prometheus" and bool(query)
            yield Metric(
                path,
                "External",
                query if known else kind,
                how,
                number(value) if known else None,
                (*path, "metadata", "threshold"),
                text(value),
                kind,
                query if known else None,
            )


def _metric(path: Path, source: str, inner: Mapping[str, Any]) -> Metric:
    """A metric of autoscaling/v2."""
    target, named = table(inner.get("target")), table(inner.get("metric"))
    name = text(inner.get("name")) if "esource" in source else text(named.get("name"))
    key, how = next(((key, how) for key, how in _TARGETS if target.get(key) is not None), ("", ""))
    at = (*path, "target", key) if key else (*path, "target")
    value = target.get(key)
    selected = str(named.get("selector") or "")
    return Metric(path, source, name, how, quantity(value), at, text(value), selector=selected)
