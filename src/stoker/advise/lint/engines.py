"""Containers that run vLLM, read once for all rules: their words, their release, their devices."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stoker.advise.lint.arguments import Arguments, arguments, known_anywhere, settings
from stoker.advise.lint.devices import Devices, devices
from stoker.advise.lint.images import Release, release_of
from stoker.advise.lint.invocations import Invocation, environment, serving
from stoker.advise.lint.kinds import Pods, pods
from stoker.advise.lint.reading import Manifest, Path, read
from stoker.advise.lint.values import listed, table, text

API_PORT = 8000


@dataclass(frozen=True)
class Engine:
    """One container that runs vLLM's server."""

    one: Manifest
    pod: Pods
    at: Path
    container: Mapping[str, Any]
    starts: tuple[Invocation, ...]
    everything: Sequence[Manifest]

    @property
    def image(self) -> str:
        """Its image."""
        return text(self.container.get("image"))

    @cached_property
    def release(self) -> Release:
        """vLLM's release in it."""
        return release_of(self.image)

    @cached_property
    def said(self) -> tuple[Arguments, ...]:
        """What each start is told, with what a config file of these files adds."""
        return tuple(self._arguments(one) for one in self.starts)

    @property
    def first(self) -> Arguments:
        """What the first start is told."""
        return self.said[0]

    def _arguments(self, start: Invocation) -> Arguments:
        found = arguments(start.words, self.release.version, start.scripted)
        own = [one for one in found.unknown if not known_anywhere(one.lstrip("-").replace("_", "-"))]
        found.own = bool(own) and not self.release.sure
        path = found.get("config")
        if path is None or (given := self._config(path)) is None:
            return found
        words = [*settings(given), *start.words]
        whole = arguments([one for one in words if one], self.release.version, start.scripted)
        others = arguments(
            [w for w in start.words if "--config" not in w], self.release.version, start.scripted
        )
        whole.whole = others.whole
        return whole

    def _config(self, path: str) -> Mapping[str, Any] | None:
        """The config file, where a ConfigMap of these files holds it."""
        name = path.rpartition("/")[2]
        for one in self.everything:
            held = one.get("data", name) if one.kind == "ConfigMap" else None
            if isinstance(held, str):
                found, _ = read(held, one.file)
                return found[0].body if found else None
        return None

    @cached_property
    def env(self) -> Mapping[str, str]:
        """Its variables, as far as they stand here."""
        return environment(self.container)

    @cached_property
    def devices(self) -> Devices:
        """The accelerators that it asks for."""
        return devices(self.container, self.pod.spec, self.everything)

    @property
    def words_at(self) -> Path:
        """Where its words stand."""
        return (*self.at, "args" if self.container.get("args") else "command")

    @cached_property
    def port(self) -> int | None:
        """The port that its API listens on; None where that is not known."""
        given = self.first.get("port")
        if given is not None:
            return int(given) if given.isdigit() and len(given) < 6 else None
        return API_PORT if "port" not in self.first.given and self._plain else None

    @property
    def on_cpu(self) -> bool:
        """Whether it is meant to run on CPUs, or its device comes by another way than a resource."""
        told = self.first.get("device") == "cpu" or "VLLM_CPU_KVCACHE_SPACE" in self.env
        return told or "cpu" in self.image.lower() or self.env.get("VLLM_TARGET_DEVICE") == "cpu"

    @property
    def _plain(self) -> bool:
        """Whether nothing but what is said here decides on the port."""
        return self.first.whole and not self.first.own and len(self.starts) == 1

    def mounts(self) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
        """Its mounts: path, mount and volume."""
        volumes = {text(table(one).get("name")): table(one) for one in listed(self.pod.spec.get("volumes"))}
        for mount in listed(self.container.get("volumeMounts")):
            found = table(mount)
            yield text(found.get("mountPath")).rstrip("/"), found, volumes.get(text(found.get("name")), {})

    def mounted(self, path: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """The innermost mount that a path lies in, with its volume."""
        found = [row for row in self.mounts() if row[0] and (path.rstrip("/") + "/").startswith(row[0] + "/")]
        best = max(found, key=lambda row: len(row[0]), default=None)
        return (best[1], best[2]) if best else None


def containers(pod: Pods) -> Iterator[tuple[Path, Mapping[str, Any], bool]]:
    """The containers of a pod, with their paths; whether one keeps running beside the others."""
    for key in ("initContainers", "containers"):
        for index, container in enumerate(listed(pod.spec.get(key))):
            if isinstance(container, dict):
                stays = key == "containers" or container.get("restartPolicy") == "Always"
                yield (*pod.at, key, index), container, stays


def engines(one: Manifest, everything: Sequence[Manifest] = ()) -> list[Engine]:
    """The engines of an object."""
    return [
        Engine(one, pod, at, container, found, everything)
        for pod in pods(one)
        for at, container, stays in containers(pod)
        if stays and (found := serving(container))
    ]
