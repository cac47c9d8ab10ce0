"""What a scaler moves: the engine in its pods, with what bears on scaling."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stoker.advise.lint.engines import Engine, engines
from stoker.advise.lint.kinds import pods
from stoker.advise.lint.reading import Manifest, Path
from stoker.advise.lint.values import listed, quantity, quietly, table, text, whole
from stoker.catalog import gpus
from stoker.errors import UsageError
from stoker.planner.settings import default_requests

_DEVICES = ("cloud.google.com/gke-accelerator", "nvidia.com/gpu.product")
# What changes how many requests run at once by other ways than its own option.
_OTHERWISE = frozenset({"config", "performance-mode"})
LWS = "LeaderWorkerSet"


@dataclass(frozen=True)
class Workload:
    """A workload of the files."""

    one: Manifest

    @cached_property
    def pods(self) -> list[tuple[Path, Mapping[str, Any]]]:
        """Its pods' specs, with their paths."""
        return [(pod.at, pod.spec) for pod in pods(self.one)]

    def containers(self, key: str = "containers") -> Iterator[tuple[Path, dict[str, Any]]]:
        """The containers of all its templates."""
        for path, spec in self.pods:
            for index, container in enumerate(listed(spec.get(key))):
                if isinstance(container, dict):
                    yield (*path, key, index), container

    @cached_property
    def read(self) -> Engine | None:
        """Its engine, as all rules read it."""
        found: list[Engine] = quietly(engines, self.one, default=[])
        return found[0] if found else None

    @property
    def engine(self) -> tuple[Path, Mapping[str, Any]] | None:
        """The container that runs vLLM's server; None where none is seen."""
        return (self.read.at, self.read.container) if self.read is not None else None

    @property
    def on_cpu(self) -> bool:
        """Whether its engine is a build for CPUs."""
        return self.engine is not None and "cpu" in text(self.engine[1].get("image"))

    @cached_property
    def options(self) -> Mapping[str, str]:
        """vLLM's options by their own names, each with the value that holds."""
        if self.read is None:
            return {}
        return {name: values[-1] for name, values in self.read.first.given.items()}

    @cached_property
    def release(self) -> str | None:
        """vLLM's release, where the image is one of vLLM's own."""
        found = self.read.release if self.read is not None else None
        return found.version if found is not None and found.sure else None

    @cached_property
    def engines(self) -> int | None:
        """Data parallel engines behind one pod's metrics, at most; None where that is not plain."""
        return self.read.first.number("data-parallel-size", 1) if self.read is not None else 1

    @cached_property
    def running(self) -> tuple[int, str] | None:
        """The most requests that a pod runs at once, and what says so; None where that is not known."""
        if self.engine is None or not self.engines:
            return None
        beside = f" for each of {self.engines} data parallel engines" if self.engines > 1 else ""
        given = self.options.get("max-num-seqs")
        if given is not None:
            plain = given.isascii() and given.isdigit() and len(given) < 8
            return (int(given) * self.engines, f"--max-num-seqs {given}{beside}") if plain else None
        if _OTHERWISE & set(self.options) or not self.release or not self._device:
            return None
        most = default_requests(self.release, self._device)
        said = f"the default of vLLM {self.release} on {self._device}, --max-num-seqs {most}{beside}"
        return most * self.engines, said

    @cached_property
    def _device(self) -> gpus.GpuType | None:
        """The GPU that its pods are kept to."""
        for _, spec in self.pods:
            for label in _DEVICES:
                name = text(table(spec.get("nodeSelector")).get(label))
                try:
                    if name:
                        return gpus.gpu(name)
                except UsageError:
                    return None
        return None

    @cached_property
    def start(self) -> tuple[int, Path] | None:
        """Seconds that the startup probe gives a start, and where that stands."""
        if self.engine is None:
            return None
        path, container = self.engine
        probe = table(container.get("startupProbe"))
        if not probe:
            return None
        waits, times, every = (
            whole(probe.get(name, default))
            for name, default in (("initialDelaySeconds", 0), ("failureThreshold", 3), ("periodSeconds", 10))
        )
        if waits is None or times is None or every is None:
            return None
        return waits + times * every, (*path, "startupProbe")

    @property
    def pods_a_replica(self) -> int:
        """Pods of one replica: a LeaderWorkerSet's group."""
        return self._group if self.one.kind == LWS else 1

    @cached_property
    def _group(self) -> int:
        size = whole(self.one.get("spec", "leaderWorkerTemplate", "size", default=1))
        return size if size and size > 0 else 1

    def devices(self, resource: str) -> float:
        """How much of a device resource one replica asks for."""
        each = [(path, _asked(spec, resource)) for path, spec in self.pods]
        if self.one.kind != LWS:
            return sum(count for _, count in each)
        workers = next((count for path, count in each if "workerTemplate" in path), 0.0)
        leader = next((count for path, count in each if "leaderTemplate" in path), workers)
        return leader + workers * (self._group - 1)


def _asked(spec: Mapping[str, Any], resource: str) -> float:
    """Of one pod: its containers together, or a larger one that runs before them."""
    beside = sum(_limit(one, resource) for one in listed(spec.get("containers")))
    return max([beside, *(_limit(one, resource) for one in listed(spec.get("initContainers")))])


def _limit(container: Any, resource: str) -> float:
    resources = table(table(container).get("resources"))
    for part in ("limits", "requests"):
        found = quantity(table(resources.get(part)).get(resource))
        if found is not None:
            return found
    return 0.0
