"""What runs before the replicas: the copy of the weights, and the snapshot of it."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stoker.advise.why.rule import shown
from stoker.catalog import rules
from stoker.findings import Finding
from stoker.fleet.state import Service
from stoker.targets.kubernetes.ends import End
from stoker.targets.kubernetes.pods import BROKEN, holds, moment
from stoker.units import Bytes

Object = dict[str, Any]
STUCK = "the copy's container"


def copy(
    jobs: Iterable[Object], pods: Sequence[Object], log: Callable[[str, str], Sequence[str]]
) -> tuple[Service, ...]:
    """The newest copy Job as a stage, with bytes and rate out of its log. `log` gives the last lines of a
    container."""
    newest = max(jobs, key=lambda job: moment(job["metadata"].get("creationTimestamp")), default=None)
    if newest is None:
        return ()
    since = moment(newest["metadata"].get("creationTimestamp"))
    for condition in newest.get("status", {}).get("conditions", ()):
        if condition["status"] == "True" and condition["type"] == "Complete":
            return (Service("weights", "Ready", since),)
        if condition["status"] == "True" and condition["type"] == "Failed":
            return (_broken(since, _words(pods, log) or condition.get("message", "")),)
    stuck = _stuck(pods, log)
    if stuck is not None:
        return (Service("weights", "Loading", since, detail=stuck.words, cause=stuck.cause),)
    return (Service("weights", "Loading", since, detail=_progress(pods, log)),)


def _broken(since: float, words: str) -> Service:
    return Service("weights", "Failed", since, last_error=words, cause=cause(words))


def cause(words: str) -> Finding:
    """Why a copy of the weights failed, by the last error that it wrote."""
    found = ((one, one.match(words, case=False)) for one in rules.of("copy"))
    known = next((one.found(match) for one, match in found if match is not None), None)
    return known or rules.rule("copy-failed").finding(words=words)


def finished(job: Object) -> bool:
    """Whether a Job has done what it was for."""
    return holds(job, "Complete")


def failed(job: Object) -> bool:
    """Whether a Job has given up."""
    return holds(job, "Failed")


def snapshots(found: Iterable[Object]) -> tuple[Service, ...]:
    """The newest snapshot as a stage."""
    newest = max(found, key=lambda one: moment(one["metadata"].get("creationTimestamp")), default=None)
    if newest is None:
        return ()
    status, since = newest.get("status", {}), moment(newest["metadata"].get("creationTimestamp"))
    if status.get("readyToUse"):
        return (Service("snapshot", "Ready", since),)
    error = status.get("error", {}).get("message")
    if error:
        why = rules.rule("why-snapshot").finding()
        return (Service("snapshot", "Failed", since, last_error=error, cause=why),)
    return (Service("snapshot", "Loading", since, detail="the snapshot is being taken"),)


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _progress(pods: Sequence[Object], log: Callable[[str, str], Sequence[str]]) -> str:
    if not pods:
        return "the copy is about to start"
    pod = max(pods, key=lambda one: moment(one["metadata"].get("creationTimestamp")))
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"the copy waits for a node: {condition.get('message', '')}"
    for container in _containers(pod):
        if "running" in container.get("state", {}):
            return _rate(container["name"], log(pod["metadata"]["name"], container["name"]))
    placed = pod.get("spec", {}).get("nodeName") or _containers(pod)
    return "the copy starts" if placed else "the copy waits for its disk and a node"


def _stuck(pods: Sequence[Object], log: Callable[[str, str], Sequence[str]]) -> End | None:
    """What keeps a container of the newest pod from running: what it said in its last life, or its node."""
    newest = sorted(pods, key=lambda one: moment(one["metadata"].get("creationTimestamp")))[-1:]
    for pod, container in ((owner, one) for owner in newest for one in _containers(owner)):
        state = container.get("state", {})
        if "running" in state:
            return None
        if (waiting := state.get("waiting", {})).get("reason") in BROKEN:
            words = _words([pod], log)
            why = f"{STUCK} {container['name']}: {waiting['reason']}{f': {words}' if words else ''}"
            by_node = shown(f"Pod/{pod['metadata']['name']}", waiting["reason"], waiting.get("message") or "")
            return End(why, cause(words) if words else by_node)
    return None


def _rate(name: str, lines: Sequence[str]) -> str:
    """`3.1 of 51.1 GiB, 410 MiB/s`: rclone's own figures, of its log in JSON."""
    doing = "checking" if name.startswith("check") else "copying"
    for line in reversed(lines):
        try:
            stats = json.loads(line).get("stats")
        except (ValueError, AttributeError):
            continue
        if isinstance(stats, dict) and doing == "checking" and stats.get("totalChecks"):
            return f"checking {stats.get('checks', 0)} of {stats['totalChecks']} files"
        if isinstance(stats, dict) and stats.get("totalBytes"):
            done, total = Bytes(int(stats.get("bytes", 0))), Bytes(int(stats["totalBytes"]))
            left = f", {int(stats['eta'])} s left" if stats.get("eta") else ""
            return f"{doing} {done} of {total}, {Bytes(int(stats.get('speed', 0)))}/s{left}"
    return doing


def _words(pods: Sequence[Object], log: Callable[[str, str], Sequence[str]]) -> str:
    """The last error that the copy wrote."""
    rest = ""
    for pod in pods:
        for container in _containers(pod):
            for line in reversed(log(pod["metadata"]["name"], container["name"])):
                try:
                    said = json.loads(line)
                except ValueError:  # the last line, which says only that it failed
                    rest = rest or line
                    continue
                if isinstance(said, dict) and said.get("level") in ("error", "critical"):
                    about = f"{said['object']}: " if said.get("object") else ""
                    return f"{about}{said.get('msg', '')}"
    return rest
