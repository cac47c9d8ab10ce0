"""The way of a metric to the HPA, link by link: the engine's page, what scrapes it, the adapter, the HPA.

The HPA says only that no figure reaches it; which link is broken is looked for here, and only then. The links
beyond the cluster (the metric's store, IAM) speak through the adapter's words.
"""

from typing import Any

from stoker.errors import EnvironmentFailed, UsageError
from stoker.fleet.state import Evidence
from stoker.render.manifests.scaling import METRICS, MOST_RUNNING, never_exceeded, number
from stoker.targets.kubernetes.client import FORBIDDEN, Api
from stoker.targets.kubernetes.pods import holds, http_port

Object = dict[str, Any]
ADAPTERS = ("v1beta2.custom.metrics.k8s.io", "v1beta1.custom.metrics.k8s.io")


def links(api: Api, hpa: Object, pods: tuple[Object, ...], *, inside: bool = False) -> tuple[Evidence, ...]:
    """What is broken on the way, the link nearest to the engine first; nothing while figures arrive.

    inside: nothing is asked for that stands in no namespace.
    """
    names = _metrics(hpa)
    evidence = _never(hpa, names)
    if not names or not _starved(hpa):
        return evidence
    space = hpa["metadata"]["namespace"]
    kind = "PodMonitoring" if any("|" in name for name in names) else "PodMonitor"
    adapter = () if inside else _adapter(api)
    return (*evidence, *adapter, *_page(api, hpa, names, pods), *_scrape(api, space, kind, pods))


def _starved(hpa: Object) -> bool:
    return any(
        one["type"] == "ScalingActive"
        and one["status"] == "False"
        and str(one.get("reason", "")).startswith("FailedGet")
        for one in hpa.get("status", {}).get("conditions", ())
    )


def _metrics(hpa: Object) -> dict[str, float]:
    """Each metric of pods by its name, with its target value; 0 where that is no plain number."""
    found = [one["pods"] for one in hpa["spec"].get("metrics", ()) if one.get("type") == "Pods"]
    values = {one["metric"]["name"]: str(one["target"].get("averageValue", "")) for one in found}
    return {name: number(text) or 0.0 for name, text in values.items()}


def _never(hpa: Object, names: dict[str, float]) -> tuple[Evidence, ...]:
    """A target of requests running that no replica can exceed: it runs no more at once."""
    most = (hpa["metadata"].get("annotations") or {}).get(MOST_RUNNING)
    running = [value for name, value in names.items() if _family(name) == METRICS["batch-size"]]
    if most is None or not running or not never_exceeded(running[0], int(most)):
        return ()
    return (
        _sign(
            "HorizontalPodAutoscaler",
            hpa,
            "TargetUnreachable",
            f"{running[0]:g} running a replica, and the engine runs {most} at once at most",
        ),
    )


def _adapter(api: Api) -> tuple[Evidence, ...]:
    """Whether an adapter is installed and does not answer: the API server itself looks at it, all the
    time."""
    for version in ADAPTERS:
        try:
            found = api.get("APIService", None, version)
        except UsageError as refused:
            if refused.finding.rule != FORBIDDEN:
                raise
            return ()  # not allowed to look
        for one in (found or {}).get("status", {}).get("conditions", ()):
            if one["type"] == "Available" and one["status"] == "False":
                text = f"{one.get('reason', '')}: {one.get('message', '')}"
                return (Evidence("condition", f"APIService/{version}", "AdapterDown", text),)
    return ()


def _page(api: Api, hpa: Object, names: dict[str, float], pods: tuple[Object, ...]) -> tuple[Evidence, ...]:
    """Whether a ready engine's page has the metric at all."""
    pod = next((one for one in pods if holds(one, "Ready")), None)
    if pod is None:
        return ()
    try:
        text = api.pod_page(pod["metadata"]["namespace"], pod["metadata"]["name"], http_port(pod), "/metrics")
    except (UsageError, EnvironmentFailed):
        return ()  # not allowed to look, or a pod that is just going: nothing is known
    lost = [family for name in names if (family := _family(name)) and f"\n{family}" not in f"\n{text}"]
    return (
        tuple(_sign("HorizontalPodAutoscaler", hpa, "NoSuchFamily", family) for family in lost)
        if text
        else ()
    )


def _scrape(api: Api, space: str, kind: str, pods: tuple[Object, ...]) -> tuple[Evidence, ...]:
    """Whether something scrapes the pods, and how that goes."""
    labels = next((one["metadata"].get("labels", {}) for one in pods), None)
    if labels is None:
        return ()
    try:
        mine = [one for one in api.list(kind, space) if _picks(one, labels)]
    except UsageError as refused:
        if refused.finding.rule != FORBIDDEN:
            raise
        return ()  # not allowed to look
    if not mine:
        return (
            Evidence("condition", f"{kind}/{space}", "NoScrape", f"no {kind} of {space} selects the pods"),
        )
    return tuple(
        _sign(kind, one, "ScrapeFailed", target.get("lastError", ""))
        for one in mine
        for status in one.get("status", {}).get("endpointStatuses", ())
        if status.get("unhealthyTargets")
        for group in status.get("sampleGroups", ())
        for target in group.get("sampleTargets", ())[:1]
        if target.get("lastError")
    )


def _picks(one: Object, labels: Object) -> bool:
    wanted = one["spec"].get("selector", {}).get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def _family(name: str) -> str | None:
    """vLLM's own name of what an adapter calls otherwise."""
    plain = name.split("|")[1] if "|" in name else name
    return next((one for one in METRICS.values() if plain in (one, one.replace(":", "_"))), None)


def _sign(kind: str, body: Object, reason: str, text: str) -> Evidence:
    return Evidence("condition", f"{kind}/{body['metadata']['name']}", reason, text)
