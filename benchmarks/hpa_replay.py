"""A recorded sequence of an HPA, put through the policy sync by sync."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stoker.autoscale import hpa_status
from stoker.autoscale.hpa import Decision, History, decide
from stoker.autoscale.hpa_object import read_policy
from stoker.autoscale.policy import Controller, Metric
from stoker.autoscale.quantity import milli
from stoker.autoscale.seen import Figures, Lost, Pod, Reading, Scale

Object = dict[str, Any]
APIS = {"External": "external", "Object": "custom", "Pods": "custom"}


@dataclass(frozen=True)
class Difference:
    """What is not as recorded."""

    sequence: str
    sync: int
    what: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        head = f"{self.sequence} sync {self.sync}: {self.what}"
        return f"{head}\n  expected {self.expected}\n  found    {self.found}"


def replay(sequence: Object) -> Iterator[list[Difference]]:
    """The differences at each reconcile of a sequence; those without metrics are among them."""
    body = sequence["hpa_spec"]
    policy, controller = read_policy(body), read_controller(sequence["flags"])
    history = History()
    for index, sync in enumerate(reconciles(sequence)):
        if spec := sync.get("hpa_spec"):
            body, policy = spec, read_policy(spec)
        scale = read_scale(sequence, sync)
        figures = [read_figure(metric, sync["metrics"]) for metric in policy.metrics]
        decision = decide(policy, scale, figures, history, sync["t"], controller)
        history = decision.history
        yield list(_differences(sequence["id"], index, sync, body, decision))


def reconciles(sequence: Object) -> list[Object]:
    """All reconciles in their order: a recording tells those without metrics by what they wrote alone."""
    syncs = list(sequence["syncs"])
    if "status_updates" not in sequence:
        return syncs
    written = [sync["status"]["conditions"] for sync in syncs]
    for update in sequence["status_updates"]:
        conditions = {one["type"]: one["reason"] for one in update["conditions"]}
        clamped = conditions.get("AbleToScale") == "SucceededRescale"
        disabled = conditions.get("ScalingActive") == "ScalingDisabled"
        looked = update["currentMetrics"] is not None
        if update["conditions"] not in written and not looked and (clamped or disabled):
            syncs.append(_without_metrics(update))
    return sorted(syncs, key=lambda sync: float(sync["t"]))


def _without_metrics(update: Object) -> Object:
    count = update["currentReplicas"] or 0
    return {
        "t": update["t"],
        "metrics": {},
        "pods": [],
        "scale_before": {"spec": count, "status": count},
        "spec_replicas_after": update["desiredReplicas"] or 0,
        "decision": update["desiredReplicas"] or 0,
        "status": update,
    }


def read_controller(flags: Mapping[str, Any]) -> Controller:
    """The controller's flags."""
    name = "horizontal-pod-autoscaler-"
    default = Controller()
    return Controller(
        _seconds(flags.get(f"{name}sync-period"), default.sync),
        float(flags.get(f"{name}tolerance", default.tolerance)),
        _seconds(flags.get(f"{name}downscale-stabilization"), default.window),
        _seconds(flags.get(f"{name}cpu-initialization-period"), default.cpu_initialization),
        _seconds(flags.get(f"{name}initial-readiness-delay"), default.readiness_delay),
        "HPAScaleToZero=true" in str(flags.get("feature-gates", "")),
    )


def _seconds(text: Any, default: float) -> float:
    """A duration as Go writes it: `15s`, `5m0s`."""
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    if text is None:
        return default
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([0-9.]+)(ms|[smh])", text))


def read_scale(sequence: Object, sync: Object) -> Scale:
    """What is scaled, as it was then."""
    pods = tuple(_pod(one) for one in sync["pods"])
    before = sync["scale_before"]
    space = f"hpa-{sequence['id']}"
    rivals: tuple[str, ...] = tuple(sync.get("rivals") or ())
    if any("second" in step["did"] for step in sequence.get("steps", ())):
        rivals = (f"{space}/y",)
    rivals = (f"{space}/x", *rivals) if rivals else ()
    return Scale(before["spec"], before["status"], pods, space, "app=x", rivals)


def _pod(one: Object) -> Pod:
    requests = {
        name: {resource: milli(value) for resource, value in asked.items()}
        for name, asked in (one.get("requests") or {}).items()
    }
    return Pod(
        one["name"],
        one["phase"],
        one["ready"],
        one["deleting"],
        _moment(one.get("start_time")),
        _moment(one.get("ready_since")),
        requests,
    )


def _moment(value: Any) -> float | None:
    if isinstance(value, str):
        return datetime.fromisoformat(value).timestamp()
    return None if value is None else float(value)


def read_figure(metric: Metric, metrics: Mapping[str, Any]) -> Figures:
    """A metric's figures as the adapter gave them."""
    container = metric.kind == "ContainerResource"
    value = metrics.get(f"{metric.container}/{metric.name}" if container else metric.name)
    if metric.kind in ("Resource", "ContainerResource"):
        return _readings(metric, value)
    api = APIS[metric.kind]
    if value is None:
        return Lost(f"unable to fetch metrics from {api} metrics API: no metric {metric.name}")
    if metric.kind == "Object":
        if isinstance(value, dict | list):
            problem = f"returned {len(value)} results when we asked for exactly one"
            server = "the custom metrics API server"
            return Lost(f"unable to fetch metrics from {api} metrics API: {server} {problem}")
        return milli(value)
    if not isinstance(value, dict | list):
        value = [value]
    if not value:
        return Lost(f"no metrics returned from {api} metrics API")
    if metric.kind == "External":
        return tuple(milli(one) for one in value)
    assert isinstance(value, dict)
    return {name: milli(one) for name, one in value.items()}


def _readings(metric: Metric, value: Any) -> Figures:
    if value is None:
        return Lost(f"unable to fetch metrics from resource metrics API: no metric {metric.name}")
    if not value:
        return Lost("no metrics returned from resource metrics API")
    return {
        name: Reading(milli(one["value"]), _moment(one["timestamp"]) or 0.0, float(one["window"]))
        for name, one in value.items()
    }


def _differences(
    name: str, index: int, sync: Object, body: Object, decision: Decision
) -> Iterator[Difference]:
    status = sync["status"]
    keys = ("type", "status", "reason", "message")
    recorded = [{key: one[key] for key in keys} for one in status["conditions"]]
    pairs = [
        ("decision", sync["decision"], decision.wanted if decision.computed else None),
        ("figures", status.get("currentMetrics"), hpa_status.current_metrics(body["metrics"], decision)),
        ("desired", status["desiredReplicas"] or 0, decision.history.desired),
        *(
            ("condition", expected, found)
            for expected, found in zip(
                recorded + [None] * 9, [*hpa_status.conditions(decision), *[None] * 9], strict=False
            )
        ),
    ]
    for what, expected, found in pairs:
        if expected != found:
            yield Difference(name, index, what, expected, found)
