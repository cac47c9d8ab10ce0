"""The logs of a fleet's pods, whole or as they grow: every container once a life, new pods as they come."""

import queue
import time
from collections.abc import Iterator

from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.target import LogLine
from stoker.targets.kubernetes.client import Api, Object
from stoker.targets.kubernetes.log_reader import Life, Reader

LOOK_SECONDS = 1.0
AWAY = "(cluster)"  # the source of what is said of the cluster itself


def read(api: Api, namespace: str, selector: str, only: str | None, lines: int) -> Iterator[LogLine]:
    """The last lines of every container, one after another. Raises: UsageError, where there is no such
    pod."""
    for pod in _pods(api, namespace, selector, only):
        name = pod["metadata"]["name"]
        try:
            for container in _containers(pod):
                for line in api.tail(namespace, name, lines, container):
                    yield LogLine(name, line)
        except EnvironmentFailed as error:  # its node may be away: the others' logs are wanted all the more
            if only is not None:
                raise
            yield LogLine(name, f"({error.finding.what}: {error.finding.why})")


def read_previous(api: Api, namespace: str, selector: str, only: str | None, lines: int) -> Iterator[LogLine]:
    """The last lines of the life before, of every container that was restarted. Raises: UsageError, where
    none was."""
    found = False
    for pod in _pods(api, namespace, selector, only):
        name = pod["metadata"]["name"]
        for container in _restarted(pod):
            for line in api.tail(namespace, name, lines, container, previous=True):
                found = True
                yield LogLine(name, line)
    if not found:
        raise UsageError(
            f"{f'{only} has' if only else 'no pod has'} no earlier life",
            why="no container of it was restarted, or its node has dropped the log",
            fix="`stoker logs` shows the life that there is",
            rule="logs-previous",
        )


def _restarted(pod: Object) -> list[str]:
    status = pod.get("status", {})
    found = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return [one["name"] for one in found if one.get("restartCount")]


def follow(api: Api, namespace: str, selector: str, only: str | None) -> Iterator[LogLine]:
    """The lines that are there, then new ones as they come, until the last pod is gone. Raises: UsageError.

    A log that breaks off (an API server that restarts, a node that is away) is taken up where it was.
    """
    said: queue.Queue[LogLine | UsageError] = queue.Queue()
    reading: dict[Life, Reader] = {}
    pods: list[Object] | None = _pods(api, namespace, selector, only)
    while pods or pods is None or any(one.busy for one in reading.values()) or not said.empty():
        for pod in pods or ():
            for life, running in lives(pod).items():
                reading.setdefault(life, Reader(api, namespace, life, said)).go_on(running)
        yield from _until(said, time.monotonic() + LOOK_SECONDS)
        try:
            pods = _list(api, namespace, selector, only)
        except EnvironmentFailed as error:
            if pods is not None:
                yield LogLine(AWAY, f"({error.finding.what}: {error.finding.why}; tried again)")
            pods = None  # the API server is away for a moment; what is being read goes on


def _until(said: "queue.Queue[LogLine | UsageError]", moment: float) -> Iterator[LogLine]:
    """What comes until then. Raises: UsageError, where a reader may not read."""
    while (left := moment - time.monotonic()) > 0:
        try:
            one = said.get(timeout=left)
        except queue.Empty:
            return
        if isinstance(one, UsageError):
            raise one
        yield one


def _list(api: Api, namespace: str, selector: str, only: str | None) -> list[Object]:
    found = api.list("Pod", namespace, selector)
    return [pod for pod in found if only in (None, pod["metadata"]["name"])]


def _pods(api: Api, namespace: str, selector: str, only: str | None) -> list[Object]:
    found = _list(api, namespace, selector, only)
    if only is not None and not found:
        known = ", ".join(pod["metadata"]["name"] for pod in _list(api, namespace, selector, None)) or "none"
        raise UsageError(f"there is no replica {only}", why=f"there are: {known}", fix="one of these")
    return found


def _containers(pod: Object) -> list[str]:
    spec = pod["spec"]
    return [one["name"] for one in (*(spec.get("initContainers") or ()), *spec["containers"])]


def lives(pod: Object) -> dict[Life, bool]:
    """The containers that have begun to say something, and whether they still run."""
    status = pod.get("status", {})
    found = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    name = pod["metadata"]["name"]
    return {
        Life(name, one["name"], int(one.get("restartCount", 0))): "running" in one["state"]
        for one in found
        if {"running", "terminated"} & set(one.get("state", {}))
    }
