"""Rules over ranks: as many as there are devices, and the shared memory that they speak through."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stoker.advise.lint.arguments import Arguments
from stoker.advise.lint.devices import devices
from stoker.advise.lint.engines import Engine
from stoker.advise.lint.kinds import Pods
from stoker.advise.lint.reading import Manifest, Path
from stoker.advise.lint.values import listed, table, text
from stoker.findings import Finding

SHM = "/dev/shm"  # noqa: S108  # where ranks speak, no file of ours
_FOR_GPUS = re.compile(r"(?:^|/)vllm-openai(?![a-z0-9-]*cpu)")


def rules(engine: Engine) -> Iterator[Finding]:
    """All findings about the ranks of one engine."""
    one, at, found = engine.one, engine.at, engine.devices
    if found.none and _needs(engine):
        yield one.finding("no-gpu", (*at, "resources"))
    counts = [local(said) for said in engine.said]
    if any(count is None for count in counts):
        return
    ranks = [count for count in counts if count is not None]
    if found.count and not found.tpu:
        yield from _counted(engine, ranks)
    if max(ranks) > 1 and not found.tpu:
        yield from shared_memory(one, at, engine.container, engine.pod)


def local(said: Arguments) -> int | None:
    """Ranks that one start has in its own pod; None where that is not plain."""
    sizes = [
        said.number(name, 1)
        for name in ("tensor-parallel-size", "pipeline-parallel-size", "prefill-context-parallel-size")
    ]
    nodes, data = said.number("nnodes", 1), _data(said)
    if any(one is None for one in (*sizes, nodes, data)):
        return None
    world = 1
    for one in sizes:
        world *= one or 1
    return max(1, world // (nodes or 1)) * (data or 1)


def _data(said: Arguments) -> int | None:
    """Data parallel engines of one start in its own pod."""
    if "data-parallel-size-local" in said.given:
        return said.number("data-parallel-size-local", 1)
    if {"data-parallel-rank", "data-parallel-external-lb"} & set(said.given):
        return 1
    size = said.number("data-parallel-size", 1)
    elsewhere = {"data-parallel-address", "data-parallel-backend", "data-parallel-start-rank", "headless"}
    return None if size != 1 and elsewhere & set(said.given) else size


def _counted(engine: Engine, ranks: list[int]) -> Iterator[Finding]:
    one, at, found = engine.one, engine.at, engine.devices
    count, total = found.count or 0, sum(ranks)
    if engine.one.kind == "LeaderWorkerSet":
        yield from _group(engine, total)
        return
    if _spread(engine):
        return
    shares = any("CUDA_VISIBLE_DEVICES" in str(part) for part in _script(engine)) or len(ranks) > 1
    said = {"ranks": total, "count": count, "resource": found.resource}
    if max(ranks) > count:
        yield one.finding("ranks", at, "more", **said)
    elif total < count and not shares and not engine.first.own and engine.pod.role != "managed":
        yield one.finding("ranks", at, "fewer", **said, idle=count - total)


def _spread(engine: Engine) -> bool:
    """Whether the ranks may be in other pods too."""
    ray = any(said.get("distributed-executor-backend") == "ray" for said in engine.said)
    managed = engine.pod.role == "managed" and "ray" in text(engine.one.get("apiVersion"))
    return ray or managed or any("nnodes" in said.given for said in engine.said)


def _group(engine: Engine, total: int) -> Iterator[Finding]:
    """Ranks of a LeaderWorkerSet against the devices of one whole group."""
    base: Path = ("spec", "leaderWorkerTemplate")
    size = engine.one.get(*base, "size", default=1)
    if not isinstance(size, int) or "workerTemplate" in engine.at:
        return
    worker = table(engine.one.get(*base, "workerTemplate", "spec"))
    each = sum(
        devices(one, worker, engine.everything).count or 0
        for one in listed(worker.get("containers"))
        if isinstance(one, dict)
    )
    if not each or not engine.devices.count:
        return
    count = engine.devices.count + each * (size - 1)
    nodes = max((said.number("nnodes", 1) or 1) for said in engine.said)
    whole = total * nodes
    if whole > count:
        said = {"ranks": whole, "count": count, "size": size, "resource": engine.devices.resource}
        yield engine.one.finding("ranks", engine.at, "group", **said)


def _script(engine: Engine) -> list[Any]:
    return [*listed(engine.container.get("command")), *listed(engine.container.get("args")), *engine.env]


def _needs(engine: Engine) -> bool:
    """Whether nothing but a device would make it run: by no other way is one lent to it."""
    if (
        engine.on_cpu
        or engine.one.loose
        or engine.pod.role == "managed"
        or not _FOR_GPUS.search(engine.image)
    ):
        return False
    resources = table(engine.container.get("resources"))
    if any("/" in str(name) for part in ("limits", "requests") for name in table(resources.get(part))):
        return False  # some device that nobody here knows
    spec = engine.pod.spec
    lent = (
        "NVIDIA_VISIBLE_DEVICES" in engine.env or spec.get("runtimeClassName") or spec.get("resourceClaims")
    )
    privileged = table(engine.container.get("securityContext")).get("privileged") is True
    paths = [text(table(table(one).get("hostPath")).get("path")) for one in listed(spec.get("volumes"))]
    return not (lent or privileged or any(path.startswith("/dev/") for path in paths))


def workers(one: Manifest, pod: Pods, at: Path, container: Mapping[str, Any]) -> Iterator[Finding]:
    """Ranks behind another pod, whatever starts them there."""
    found = devices(container, pod.spec)
    engine = "vllm" in f"{container.get('image')} {container.get('command')} {container.get('args')}".lower()
    if pod.role == "worker" and engine and not found.tpu and found.count and found.count > 1:
        yield from shared_memory(one, at, container, pod)


def shared_memory(one: Manifest, at: Path, container: Mapping[str, Any], pod: Pods) -> Iterator[Finding]:
    """Ranks of one pod speak through /dev/shm; the node's own serves as well."""
    if pod.spec.get("hostIPC") is True or pod.role == "managed":
        return
    mounts = {
        text(table(m).get("mountPath")).rstrip("/"): table(m).get("name")
        for m in listed(container.get("volumeMounts"))
    }
    name = mounts.get(SHM)
    for index, volume in enumerate(listed(pod.spec.get("volumes"))):
        if name and table(volume).get("name") == name:
            kind = table(volume).get("emptyDir")
            if isinstance(kind, dict) and kind.get("medium") == "Memory" and not kind.get("sizeLimit"):
                yield one.finding("shm-limit", (*pod.at, "volumes", index))
            return
    if name is None:
        yield one.finding("shm", at)
