"""Rules over what scales: HPAs, KEDA's ScaledObjects and GKE's AutoscalingMetrics, with what stands beside
them in the files.

`Around` reads the files once; a scaler is one noun whatever its kind, so that a rule is written once.
"""

from collections.abc import Iterator

from stoker.advise.lint.reading import Manifest
from stoker.advise.lint.scaling import agent, bounds, figures, keda, metrics, pace, together
from stoker.advise.lint.scaling.around import Around
from stoker.advise.lint.scaling.scaler import HPA, KEDA, Scaler
from stoker.advise.lint.scaling.shape import misshapen
from stoker.findings import Finding


def rules(one: Manifest, around: Around) -> Iterator[Finding]:
    """All findings about one object that scales, or that serves a scaler its metrics."""
    if one.kind == agent.KIND:
        yield from agent.rules(one, around)
    scaler = around.scaler(one)
    if scaler is None:
        return
    yield from misshapen(one)
    yield from together.rules(scaler, around)
    yield from bounds.rules(scaler, around)
    yield from metrics.rules(scaler, around)
    yield from figures.rules(scaler, around)
    yield from keda.rules(scaler, around)
    if around.engines(scaler):
        yield from pace.rules(scaler, around.workload(scaler))
        workload = around.workload(scaler)
        if workload is None or not workload.on_cpu:
            yield from _resource(scaler, around)


def _resource(scaler: Scaler, around: Around) -> Iterator[Finding]:
    """An engine's load is not on the CPU."""
    for metric in scaler.metrics:
        if metric.source in ("Resource", "ContainerResource") and metric.name in ("cpu", "memory"):
            yield scaler.one.finding("hpa-resource", metric.path, "written", resource=metric.name)
    alone = (scaler.one.kind, scaler.one.name) not in around.patches
    if scaler.one.kind == HPA and alone and not scaler.one.get("spec", "metrics") and not scaler.metrics:
        yield scaler.one.finding("hpa-resource", ("spec",), "default")


__all__ = ["HPA", "KEDA", "Around", "rules"]
