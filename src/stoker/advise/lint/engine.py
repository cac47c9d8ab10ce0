"""Rules over pods, and over those that run vLLM: what makes them fail, lose requests, or stand open."""

from collections.abc import Iterator, Sequence

from stoker.advise.lint import containers, options, probes, ranks, stopping, storage, variables
from stoker.advise.lint.engines import Engine, engines
from stoker.advise.lint.engines import containers as _containers
from stoker.advise.lint.kinds import pods
from stoker.advise.lint.reading import Manifest
from stoker.advise.lint.values import table
from stoker.findings import Finding


def rules(one: Manifest, everything: Sequence[Manifest]) -> Iterator[Finding]:
    """All findings about the pods of one object."""
    if one.kind == "PodDisruptionBudget":
        yield from stopping.budgets(one)
    for pod in pods(one):
        for at, container, _ in _containers(pod):
            yield from containers.rules(one, pod, at, container)
            yield from ranks.workers(one, pod, at, container)
        yield from storage.buckets(one, pod, everything)
    seen: set[object] = set()
    for engine in engines(one, everything):
        yield from _engine(engine)
        if engine.pod.at not in seen:
            yield from stopping.rules(engine, everything)
        seen.add(engine.pod.at)
    if seen and one.kind == "LeaderWorkerSet":
        yield from _group(one)


def _engine(engine: Engine) -> Iterator[Finding]:
    yield from options.rules(engine)
    yield from variables.rules(engine)
    yield from probes.rules(engine)
    yield from ranks.rules(engine)
    yield from storage.rules(engine)
    if not _as_user(engine) and engine.pod.role != "managed":
        yield engine.one.finding("root", engine.at)


def _as_user(engine: Engine) -> bool:
    """Whether it cannot run as root: the container's word goes before the pod's."""
    contexts = [table(part.get("securityContext")) for part in (engine.container, engine.pod.spec)]
    users = [one["runAsUser"] for one in contexts if one.get("runAsUser") is not None]
    if users:
        return bool(users[0] != 0)
    return any(one.get("runAsNonRoot") is True for one in contexts)


def _group(one: Manifest) -> Iterator[Finding]:
    """Ranks that come back alone find nobody."""
    at = ("spec", "leaderWorkerTemplate", "restartPolicy")
    size = one.get("spec", "leaderWorkerTemplate", "size", default=1)
    if one.get(*at) in ("None", "Default") and size != 1:
        yield one.finding("group", at)
