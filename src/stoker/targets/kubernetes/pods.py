"""Pods as replicas: phases, ranks, causes of what has failed, and the signs around them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from stoker.advise.why.rule import shown
from stoker.engine.log import StartLog
from stoker.fleet.state import Evidence, Phase, Rank, Replica, Service
from stoker.targets.kubernetes.ends import End, Log, end_of, follows

LWS = "leaderworkerset.sigs.k8s.io"
BROKEN = (
    "ImagePullBackOff",
    "ErrImagePull",
    "InvalidImageName",
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)
TELLING = (
    "TriggeredScaleUp",
    "NotTriggerScaleUp",
    "Preempted",
    "Evicted",
    "Killing",
    "NodeNotReady",
    "TaintManagerEviction",
)
# the worst first: a replica is as far as its last rank
ORDER: tuple[Phase, ...] = (
    "Failed",
    "Pending",
    "Scheduled",
    "Pulling",
    "Starting",
    "Loading",
    "Warming",
    "Unready",
    "Draining",
    "Ready",
)
UNATTENDED_SECONDS = 15.0
LOST = "it was ready before"
FLAP = 3.0  # seconds: what a kubelet writes as a container starts is no readiness that was lost


def replicas(
    pods: Iterable[dict[str, Any]], log: Log, newest: str | None = None, whole: Log | None = None
) -> tuple[Replica, ...]:
    """One replica a pod, or a group of pods. `log` gives the last lines of a pod's engine, `whole` many more.

    newest: the template hash of pods that stay; those of another one are not current.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for pod in pods:
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            # evicted, refused by its node, or done: it never runs again, and its owner has made another
            continue
        labels = pod["metadata"].get("labels", {})
        groups.setdefault(labels.get(f"{LWS}/group-index", pod["metadata"]["name"]), []).append(pod)
    out = [_replica(members, log, newest, whole or log) for members in groups.values()]
    return tuple(sorted(out, key=lambda one: (one.started, one.name)))


def _replica(members: list[dict[str, Any]], log: Log, newest: str | None, whole: Log) -> Replica:
    members = sorted(members, key=_rank)
    looked = [(pod, *_phase(pod, log, whole)) for pod in members]
    ranks = tuple(Rank(_rank(pod), pod["spec"].get("nodeName", ""), phase) for pod, phase, *_ in looked)
    pod, phase, detail, end = min(looked, key=lambda one: (ORDER.index(one[1]), follows(one[3])))
    lead = members[0]["metadata"]
    size = int(lead.get("annotations", {}).get(f"{LWS}/size", 1))
    if len(members) < size and phase != "Failed":
        phase = phase if phase in ("Pending", "Draining") else "Starting"
        detail = f"{len(members)} of {size} pods of its group are there{f'; {detail}' if detail else ''}"
    begun = moment(lead.get("creationTimestamp"))
    return Replica(
        name=lead["name"],
        phase=phase,
        since=_since(pod, phase) or begun,
        ranks=ranks,
        detail=detail,
        last_error=end.words if end else None,
        cause=end.cause if end else None,
        restarts=sum(_status(one).get("restartCount", 0) for one in members),
        started=begun,
        current=newest is None or lead.get("labels", {}).get("pod-template-hash") in (None, newest),
        hardware=", ".join(sorted({rank.host for rank in ranks if rank.host})),
        url=_url(pod),
    )


def _url(pod: dict[str, Any]) -> str | None:
    """Where the engine listens inside the cluster."""
    address = pod.get("status", {}).get("podIP")
    if not address:
        return None
    return f"http://{f'[{address}]' if ':' in address else address}:{http_port(pod)}"


def http_port(pod: dict[str, Any]) -> int:
    """The port of the engine's API and metrics."""
    ports = [
        port for one in pod["spec"]["containers"] if one["name"] == "engine" for port in one.get("ports", ())
    ]
    return next((int(port["containerPort"]) for port in ports if port.get("name") == "http"), 8000)


def _rank(pod: dict[str, Any]) -> int:
    return int(pod["metadata"].get("labels", {}).get(f"{LWS}/worker-index", 0))


def _status(pod: dict[str, Any]) -> dict[str, Any]:
    found: list[dict[str, Any]] = pod.get("status", {}).get("containerStatuses") or [{}]
    return next((one for one in found if one.get("name") == "engine"), found[0])


def _phase(pod: dict[str, Any], log: Log, whole: Log) -> tuple[Phase, str, End | None]:
    """The phase, more in words, and how its last life has ended, where it has failed."""
    if pod["metadata"].get("deletionTimestamp"):
        return "Draining", "", None
    container = _status(pod)
    waiting = container.get("state", {}).get("waiting", {})
    if waiting.get("reason") in BROKEN:
        return "Failed", str(waiting["reason"]), end_of(pod, container, log, whole)
    if holds(pod, "Ready"):
        return "Ready", "", None
    if _lost(pod, container):
        return "Unready", LOST, None
    if "running" in container.get("state", {}):
        started = StartLog()
        for line in log(pod["metadata"]["name"]):
            started = started.feed(line)
        if started.phase == "Ready":
            return "Warming", "its first requests, before clients send any", None
        return started.phase, started.detail, None
    if pod["spec"].get("nodeName"):
        if "terminated" in container.get("state", {}):
            return "Starting", "it has ended, and starts again", None
        return ("Pulling" if container.get("state") else "Scheduled"), "", None
    return "Pending", _reason(pod), None


def _reason(pod: dict[str, Any]) -> str:
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    return ""


def holds(body: dict[str, Any], condition: str) -> bool:
    """Whether a condition of an object's status is true, such as a pod's Ready or a Job's Complete."""
    found = body.get("status", {}).get("conditions", ())
    return any(one["type"] == condition and one["status"] == "True" for one in found)


def _lost(pod: dict[str, Any], container: dict[str, Any]) -> bool:
    """Whether it was ready in the life that runs now: its readiness changed after it had started."""
    begun = moment(container.get("state", {}).get("running", {}).get("startedAt"))
    changed = [
        moment(one.get("lastTransitionTime"))
        for one in pod.get("status", {}).get("conditions", ())
        if one["type"] == "Ready" and one["status"] == "False"
    ]
    started = container.get("started", True)  # False, until its startup probe has held once
    return bool(started and begun and changed) and changed[0] - begun > FLAP


def _since(pod: dict[str, Any], phase: Phase) -> float:
    if phase in ("Ready", "Unready"):
        for condition in pod.get("status", {}).get("conditions", ()):
            if condition["type"] == "Ready":
                return moment(condition.get("lastTransitionTime"))
    return 0.0


def moment(text: str | None) -> float:
    """A time of the API in epoch seconds; 0 where there is none."""
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def conditions(scalers: Iterable[dict[str, Any]]) -> tuple[Evidence, ...]:
    """What is wrong with the fleet's HPA, by its own conditions."""
    out = []
    for body in scalers:
        active = holds(body, "ScalingActive")
        for one in body.get("status", {}).get("conditions", ()):
            if one["type"] not in ("AbleToScale", "ScalingActive", "ScalingLimited"):
                continue
            wrong = one["status"] == ("True" if one["type"] == "ScalingLimited" else "False")
            if one["type"] == "ScalingLimited" and (one.get("reason") != "TooManyReplicas" or not active):
                # what moves is no trouble, and of a figure that is missing it says what was so before
                continue
            if wrong:
                subject = f"HorizontalPodAutoscaler/{body['metadata']['name']}"
                out.append(Evidence("condition", subject, one.get("reason", ""), one.get("message", "")))
    return tuple(out)


def beside(role: str, owner: dict[str, Any], pods: Iterable[dict[str, Any]]) -> Service:
    """A Deployment of Stoker's own image: ready where all of its newest pods are."""
    meta, spec, status = owner["metadata"], owner["spec"], owner.get("status", {})
    begun = moment(meta.get("creationTimestamp"))
    wanted = int(spec.get("replicas", 1))
    fresh = status.get("observedGeneration", 0) >= meta.get("generation", 0)
    if fresh and min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0)) >= wanted:
        return Service(role, "Ready", begun)
    for pod in pods:
        if pod["metadata"].get("labels", {}).get("app.kubernetes.io/component") != role:
            continue
        state = _status(pod).get("state", {}).get("waiting", {})
        if state.get("reason") in BROKEN:
            words = str(state.get("message") or state["reason"])
            cause = shown(f"Pod/{pod['metadata']['name']}", state["reason"], words)
            return Service(role, "Failed", begun, last_error=f"{state['reason']} {words}", cause=cause)
    return Service(role, "Starting", begun, detail=f"{status.get('readyReplicas', 0)} of {wanted} ready")


def unattended(owner: dict[str, Any] | None, now: float) -> tuple[Evidence, ...]:
    """A workload of which no controller has taken notice since it was made or changed."""
    if owner is None:
        return ()
    meta, seen = owner["metadata"], owner.get("status", {}).get("observedGeneration")
    untouched = not owner.get("status") if owner["kind"] == "LeaderWorkerSet" else seen is None
    written = [moment(one.get("time")) for one in meta.get("managedFields", ())]
    age = now - max([moment(meta.get("creationTimestamp")), *written])
    behind = seen is not None and seen < meta.get("generation", 0)
    if not (untouched or behind) or age < UNATTENDED_SECONDS:
        return ()
    subject, text = f"{owner['kind']}/{meta['name']}", f"no controller has looked at it in {age:.0f} s"
    return (Evidence("condition", subject, "NoController", text),)


def unscheduled(pods: Iterable[dict[str, Any]], now: float) -> tuple[Evidence, ...]:
    """The first pod of which no scheduler has said anything; one that waits for a disk or a device with a
    node chosen is none."""
    for pod in pods:
        meta, status = pod["metadata"], pod.get("status", {})
        age = now - moment(meta.get("creationTimestamp"))
        told = any(one["type"] == "PodScheduled" for one in status.get("conditions", ()))
        waits = any(
            {"persistentVolumeClaim", "ephemeral"} & set(one) for one in pod["spec"].get("volumes", ())
        )
        waits |= bool(pod["spec"].get("resourceClaims") or status.get("nominatedNodeName"))
        if not (told or waits or pod["spec"].get("nodeName")) and age > UNATTENDED_SECONDS:
            text = (
                f"{pod['spec'].get('schedulerName', 'default-scheduler')} has not looked at it in {age:.0f} s"
            )
            return (Evidence("condition", f"Pod/{meta['name']}", "NoScheduler", text),)
    return ()


def evidence(
    events: Iterable[dict[str, Any]], fleet: str, others: Iterable[str] = ()
) -> tuple[Evidence, ...]:
    """The warnings about the fleet's objects, the newest last. others: fleets whose names begin with this
    one's.

    What an HPA warned of is left out: its conditions say what is so now.
    """
    strangers = tuple(f"{name}-" for name in others if name.startswith(f"{fleet}-"))
    out = []
    for event in events:
        about = event.get("involvedObject", {})
        name = str(about.get("name", ""))
        mine = name == fleet or name.startswith(f"{fleet}-")
        if not mine or f"{name}-".startswith(strangers) or about.get("kind") == "HorizontalPodAutoscaler":
            continue
        if event.get("type") != "Warning" and event.get("reason") not in TELLING:
            continue
        subject = f"{about.get('kind', '')}/{name}"
        again = event.get("series") or {}  # the newer events API counts what happens again there
        seen = moment(again.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime"))
        count = again.get("count") or event.get("count") or 1
        out.append(Evidence("event", subject, event.get("reason", ""), event.get("message", ""), count, seen))
    return tuple(sorted(out, key=lambda piece: piece.last_seen))
