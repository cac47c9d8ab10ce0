"""The way of a metric to the HPA, link by link: the page it is on, what scrapes that, who serves it, the HPA.

The HPA says only that no figure reaches it; which link is broken is looked for here, and only then. The links
beyond the cluster (the metric's store, IAM) speak through the adapter's words.
"""

import re
from dataclasses import dataclass
from typing import Any

from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.state import Evidence
from stoker.render.manifests.scaling import (
    IN_FLIGHT,
    METRICS,
    MOST_RUNNING,
    known,
    never_exceeded,
    number,
    of_trigger,
)
from stoker.targets.kubernetes import metric_servers, scalers, workload
from stoker.targets.kubernetes.client import FORBIDDEN, Api
from stoker.targets.kubernetes.pods import holds, http_port

Object = dict[str, Any]
GKE = "autoscaling.gke.io"


@dataclass(frozen=True, slots=True)
class Asked:
    """A metric that the HPA asks for: its type and name there, Stoker's own name, and its target value; 0
    where that is no plain number."""

    type: str
    name: str
    own: str | None
    target: float

    @property
    def component(self) -> str:
        """Whose page it is on."""
        return "gateway" if self.own == IN_FLIGHT else "engine"


def links(
    api: Api, hpa: Object, everyone: tuple[Object, ...], *, inside: bool = False
) -> tuple[Evidence, ...]:
    """What is broken on the way, the link nearest to the engine first; nothing while figures arrive.

    everyone: the fleet's pods, gateways included. inside: nothing is asked for that stands in no namespace.
    """
    asked = metrics(hpa)
    evidence = _never(hpa, asked)
    if not asked or not _starved(hpa):
        return evidence
    if not inside:
        evidence += metric_servers.broken(api, {one.type for one in asked}, by_keda=scalers.kedas(hpa))
    evidence += _exposed(api, hpa, asked)
    for component in sorted({one.component for one in asked}):
        pods = tuple(one for one in everyone if workload.component(one) == component)
        mine = [one for one in asked if one.component == component]
        evidence += _page(api, hpa, mine, pods)
        evidence += _scrape(api, hpa, mine, pods, component)
    return evidence


def _starved(hpa: Object) -> bool:
    return any(
        one["type"] == "ScalingActive"
        and one["status"] == "False"
        and str(one.get("reason", "")).startswith("FailedGet")
        for one in hpa.get("status", {}).get("conditions", ())
    )


def metrics(hpa: Object) -> tuple[Asked, ...]:
    """Each metric of pods and each external one, in the HPA's order."""
    notes, out = hpa["metadata"].get("annotations"), []
    for one in hpa["spec"].get("metrics", ()):
        if one.get("type") not in ("Pods", "External"):
            continue
        part = one[one["type"].lower()]
        name, value = part["metric"]["name"], str(part.get("target", {}).get("averageValue", ""))
        out.append(Asked(one["type"], name, known(name) or of_trigger(name, notes), number(value) or 0.0))
    return tuple(out)


def _never(hpa: Object, asked: tuple[Asked, ...]) -> tuple[Evidence, ...]:
    """A target of requests running that no replica can exceed: it runs no more at once."""
    most = (hpa["metadata"].get("annotations") or {}).get(MOST_RUNNING)
    running = [one.target for one in asked if one.own == "batch-size"]
    if most is None or not running or not never_exceeded(running[0], int(most)):
        return ()
    text = f"{running[0]:g} running a replica, and the engine runs {most} at once at most"
    return (_sign("HorizontalPodAutoscaler", hpa, "TargetUnreachable", text),)


def _exposed(api: Api, hpa: Object, asked: tuple[Asked, ...]) -> tuple[Evidence, ...]:
    """Whether GKE's AutoscalingMetric that the HPA names is there."""
    space, out = hpa["metadata"]["namespace"], []
    for name in sorted({words[1] for one in asked if (words := one.name.split("|"))[0] == GKE}):
        try:
            found = api.get("AutoscalingMetric", space, name)
        except UsageError as refused:
            if refused.finding.rule != FORBIDDEN:
                raise
            continue  # not allowed to look
        if found is None:
            text = f"no AutoscalingMetric {name} is in {space}"
            out.append(Evidence("condition", f"AutoscalingMetric/{name}", "NotExposed", text))
    return tuple(out)


def _page(api: Api, hpa: Object, asked: list[Asked], pods: tuple[Object, ...]) -> tuple[Evidence, ...]:
    """Whether a ready pod's page has the metrics at all."""
    pod = next((one for one in pods if holds(one, "Ready")), None)
    if pod is None:
        return ()
    try:
        text = api.pod_page(pod["metadata"]["namespace"], pod["metadata"]["name"], http_port(pod), "/metrics")
    except (UsageError, EnvironmentFailed):
        return ()  # not allowed to look, or a pod that is just going: nothing is known
    families = [METRICS[one.own] for one in asked if one.own is not None]
    lost = [family for family in families if not _has(text, family)]
    reason = "NoSuchFamily" if asked[0].component == "engine" else "NoSuchGatewayFamily"
    return tuple(_sign("HorizontalPodAutoscaler", hpa, reason, one) for one in lost) if text else ()


def _has(page: str, family: str) -> bool:
    """Whether a page has a family, and not only one whose name begins alike; a histogram by its parts."""
    return re.search(rf"(?m)^{re.escape(family)}(_sum|_count|_bucket)?[ {{]", page) is not None


def _scrape(
    api: Api, hpa: Object, asked: list[Asked], pods: tuple[Object, ...], component: str
) -> tuple[Evidence, ...]:
    """Whether something scrapes the pods, and how that goes."""
    kinds, space = _scrapers(hpa, asked), hpa["metadata"]["namespace"]
    labels = next((one["metadata"].get("labels", {}) for one in pods), None)
    if labels is None or not kinds:
        return ()
    try:
        mine = [(kind, one) for kind in kinds for one in api.list(kind, space) if _picks(one, labels)]
    except UsageError as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        return ()  # not allowed to look
    if not mine:
        what = " and no ".join(kinds)
        reason = "NoScrape" if component == "engine" else "NoGatewayScrape"
        return (
            Evidence("condition", f"{kinds[0]}/{space}", reason, f"no {what} of {space} selects the pods"),
        )
    return tuple(
        _sign(kind, one, "ScrapeFailed", target.get("lastError", ""))
        for kind, one in mine
        for status in one.get("status", {}).get("endpointStatuses", ())
        if status.get("unhealthyTargets")
        for group in status.get("sampleGroups", ())
        for target in group.get("sampleTargets", ())[:1]
        if target.get("lastError")
    )


def _scrapers(hpa: Object, asked: list[Asked]) -> tuple[str, ...]:
    """The kinds of which one has to select the pods: what the adapter reads, either where KEDA asks a server;
    none where GKE's agents read by themselves."""
    if all(one.name.startswith(f"{GKE}|") for one in asked):
        return ()
    if scalers.kedas(hpa):
        return "PodMonitor", "PodMonitoring"
    return ("PodMonitoring" if any("|" in one.name for one in asked) else "PodMonitor",)


def _picks(one: Object, labels: Object) -> bool:
    wanted = one["spec"].get("selector", {}).get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def _sign(kind: str, body: Object, reason: str, text: str) -> Evidence:
    return Evidence("condition", f"{kind}/{body['metadata']['name']}", reason, text)
