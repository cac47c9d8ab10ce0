"""The logs of a fleet's pods, whole or as they grow: every container once a life, new pods as they come."""

import queue
import threading
import time
from collections.abc import Iterator

from stoker.errors import Mistake, WorldFailed
from stoker.fleet.target import LogLine
from stoker.targets.kubernetes.client import Api, Object

LOOK_SECONDS = 1.0
Life = tuple[str, str, int]  # pod, container, restarts


def read(api: Api, namespace: str, selector: str, only: str | None, lines: int) -> Iterator[LogLine]:
    """The last lines of every container, one after another. Raises: Mistake, where there is no such pod."""
    for pod in _pods(api, namespace, selector, only):
        name = pod["metadata"]["name"]
        try:
            for container in _containers(pod):
                for line in api.tail(namespace, name, lines, container):
                    yield LogLine(name, line)
        except WorldFailed as error:  # its node may be away: the others' logs are wanted all the more
            if only is not None:
                raise
            yield LogLine(name, f"({error.finding.what}: {error.finding.why})")


def read_previous(api: Api, namespace: str, selector: str, only: str | None, lines: int) -> Iterator[LogLine]:
    """The last lines of the life before, of every container that was restarted. Raises: Mistake, where none was."""
    found = False
    for pod in _pods(api, namespace, selector, only):
        name = pod["metadata"]["name"]
        for container in _restarted(pod):
            for line in api.tail(namespace, name, lines, container, previous=True):
                found = True
                yield LogLine(name, line)
    if not found:
        raise Mistake(
            f"{f'{only} has' if only else 'no pod has'} no earlier life", why="no container of it was restarted, or its node has dropped the log",
            fix="`stoker logs` shows the life that there is", rule="logs-previous",
        )  # fmt: skip


def _restarted(pod: Object) -> list[str]:
    status = pod.get("status", {})
    found = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return [one["name"] for one in found if one.get("restartCount")]


def follow(api: Api, namespace: str, selector: str, only: str | None) -> Iterator[LogLine]:
    """The lines that are there, then new ones as they come, until the last pod is gone. Raises: Mistake."""
    said: queue.Queue[LogLine | Mistake] = queue.Queue()
    reading: dict[Life, threading.Thread] = {}
    pods = _pods(api, namespace, selector, only)
    while pods or any(thread.is_alive() for thread in reading.values()) or not said.empty():
        for life in (life for pod in pods for life in _lives(pod)):
            if life not in reading:
                reading[life] = threading.Thread(target=_read, args=(api, namespace, life, said), daemon=True)
                reading[life].start()
        yield from _until(said, time.monotonic() + LOOK_SECONDS)
        try:
            pods = _list(api, namespace, selector, only)
        except WorldFailed:
            continue  # the API server is away for a moment; what is being read goes on


def _until(said: "queue.Queue[LogLine | Mistake]", moment: float) -> Iterator[LogLine]:
    """What comes until then. Raises: Mistake, where a reader may not read."""
    while (left := moment - time.monotonic()) > 0:
        try:
            one = said.get(timeout=left)
        except queue.Empty:
            return
        if isinstance(one, Mistake):
            raise one
        yield one


def _read(api: Api, namespace: str, life: Life, said: "queue.Queue[LogLine | Mistake]") -> None:
    pod, container, _ = life
    try:
        for line in api.follow(namespace, pod, container):
            said.put(LogLine(pod, line))
    except WorldFailed:
        return
    except Mistake as refused:
        said.put(refused)


def _list(api: Api, namespace: str, selector: str, only: str | None) -> list[Object]:
    found = api.list("Pod", namespace, selector)
    return [pod for pod in found if only in (None, pod["metadata"]["name"])]


def _pods(api: Api, namespace: str, selector: str, only: str | None) -> list[Object]:
    found = _list(api, namespace, selector, only)
    if only is not None and not found:
        known = ", ".join(pod["metadata"]["name"] for pod in _list(api, namespace, selector, None)) or "none"
        raise Mistake(f"there is no replica {only}", why=f"there are: {known}", fix="one of these")
    return found


def _containers(pod: Object) -> list[str]:
    spec = pod["spec"]
    return [one["name"] for one in (*(spec.get("initContainers") or ()), *spec["containers"])]


def _lives(pod: Object) -> list[Life]:
    """The containers that have begun to say something."""
    status = pod.get("status", {})
    found = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    name = pod["metadata"]["name"]
    return [
        (name, one["name"], int(one.get("restartCount", 0)))
        for one in found
        if {"running", "terminated"} & set(one.get("state", {}))
    ]
