"""Rules over what scales: HPAs and KEDA's ScaledObjects, with what they scale beside them in the files."""

from collections.abc import Iterator, Sequence

from stoker.advise.lint.engine import options, serves
from stoker.advise.lint.objects import templates
from stoker.advise.lint.reading import Manifest
from stoker.findings import Finding
from stoker.render.manifests.scaling import never_exceeded, number

HPA, KEDA = "HorizontalPodAutoscaler", "ScaledObject"


def rules(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """All findings about one scaler."""
    if one.kind in (HPA, KEDA):
        yield from _two(one, everything)
    if one.kind == HPA:
        yield from _scaling(one, everything)
        yield from _never(one, everything)


def _target(one: Manifest) -> tuple[str | None, str, str]:
    """Namespace, kind and name of what it scales."""
    reference = one.get("spec", "scaleTargetRef", default={})
    return one.namespace, str(reference.get("kind") or "Deployment"), str(reference.get("name") or "")


def _two(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """Two scalers with one target; two objects of one name are another rule's."""
    mine = _target(one)
    for other in everything:
        if other is one:
            return
        if (
            other.kind in (HPA, KEDA)
            and _target(other) == mine
            and (other.kind, other.name) != (one.kind, one.name)
        ):
            yield one.finding(
                "two-scalers",
                ("spec", "scaleTargetRef"),
                other=f"{other.kind} {other.name}",
                kind=mine[1],
                object=mine[2],
                place=other.at("metadata", "name"),
            )
            return


def _never(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """A target of running requests that the engine cannot exceed: it runs no more at once."""
    most = next((_most(w) for w in everything if (w.namespace, w.kind, w.name) == _target(one)), None)
    for index, metric in enumerate(one.get("spec", "metrics", default=[])):
        pods = metric.get("pods") or {} if isinstance(metric, dict) else {}
        name = str((pods.get("metric") or {}).get("name", ""))
        value = str((pods.get("target") or {}).get("averageValue", ""))
        target = number(value) if "num_requests_running" in name else None
        if most and target is not None and never_exceeded(target, most):
            yield one.finding("hpa-unreachable", ("spec", "metrics", index), value=value, most=most)


def _most(workload: Manifest) -> int | None:
    """The engine's --max-num-seqs, where its command says it."""
    for _, template in templates(workload):
        for container in template["spec"].get("containers") or ():
            if isinstance(container, dict) and serves(container):
                value = options(container).get("max-num-seqs", "")
                return int(value) if value.isdigit() else None
    return None


def _scaling(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    reference = one.get("spec", "scaleTargetRef", default={})
    if not reference:
        yield one.finding("hpa-target", ("spec",), "missing")
        return
    targets = [w for w in everything if w.kind == reference.get("kind") and w.name == reference.get("name")]
    others = [w for w in everything if w.kind in ("Deployment", "StatefulSet", "LeaderWorkerSet")]
    if others and not targets:
        yield one.finding(
            "hpa-target",
            ("spec", "scaleTargetRef"),
            "unknown",
            kind=reference.get("kind"),
            object=reference.get("name"),
            others=", ".join(f"{w.kind} {w.name}" for w in others),
        )
    same = (
        o
        for o in everything
        if o.kind == one.kind and o.get("spec", "scaleTargetRef", default={}) == reference
    )
    first = next(same, one)
    for target in targets if first is one else ():
        if target.get("spec", "replicas") is not None:
            yield target.finding("hpa-replicas", ("spec", "replicas"))
    if one.get("spec", "behavior") is None:
        yield one.finding("hpa-behavior", ("spec",))
    for index, metric in enumerate(one.get("spec", "metrics", default=[])):
        if isinstance(metric, dict) and (metric.get("resource") or {}).get("name") in ("cpu", "memory"):
            yield one.finding("hpa-resource", ("spec", "metrics", index), resource=metric["resource"]["name"])
