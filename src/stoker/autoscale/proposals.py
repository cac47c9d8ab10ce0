"""All metrics of a policy: the one that asks for most wins, and one that is lost forbids to go down.

Source: pkg/controller/podautoscaler/horizontal.go, computeReplicasForMetrics, Kubernetes 1.36.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from stoker.autoscale.conditions import Said, ambiguous, found, unable
from stoker.autoscale.policy import Controller, Metric, Policy
from stoker.autoscale.seen import Figures, Lost, Reading, Scale
from stoker.autoscale.totals import of_total, summed
from stoker.autoscale.usage import Proposal, Unable, of_pods, of_resource


@dataclass(frozen=True, slots=True)
class Proposals:
    """What the metrics ask for together.

    count: None where nothing can be computed. each: one a metric, None for one that is lost. metric: the
    winner's name in the controller's words. active: what ScalingActive says. errors: of the lost ones.
    """

    count: int | None
    each: tuple[Proposal | None, ...]
    metric: str
    active: Said
    errors: tuple[str, ...] = ()


def propose(
    policy: Policy, scale: Scale, figures: Sequence[Figures], controller: Controller, now: float
) -> Proposals:
    """The number that the figures ask for, before bounds, windows and rates."""
    if len(scale.rivals) > 1 and scale.pods:  # it is by its pods that another is known
        return Proposals(None, (), "", ambiguous(scale.selector, scale.rivals))
    tolerances = tolerances_of(policy, controller)
    each: list[Proposal | None] = []
    errors: list[str] = []
    broken: Said | None = None
    count, winner = 0, ""
    for metric, figure in zip(policy.metrics, figures, strict=True):
        try:
            one = _one(metric, figure, scale, tolerances, controller, now)
        except Unable as error:
            broken = broken or unable(f"FailedGet{metric.kind}Metric", str(error))
            errors.append(str(error))
            each.append(None)
            continue
        each.append(one)
        if count == 0 or one.count > count:
            count, winner = one.count, described(metric)
    if broken and (len(errors) == len(policy.metrics) or count < scale.wanted):
        return Proposals(None, tuple(each), "", broken, tuple(errors))
    return Proposals(count, tuple(each), winner, found(winner), tuple(errors))


def tolerances_of(policy: Policy, controller: Controller) -> tuple[float, float]:
    """Upwards and downwards."""
    up, down, default = policy.up, policy.down, controller.tolerance
    return (
        default if up is None or up.tolerance is None else up.tolerance,
        default if down is None or down.tolerance is None else down.tolerance,
    )


def described(metric: Metric) -> str:
    """A metric in the controller's words."""
    match metric.kind:
        case "Pods":
            return f"pods metric {metric.name}"
        case "Object" if metric.target_kind == "Value":
            return f"{metric.about[0]} metric {metric.name}"
        case "External" | "Object":
            return f"external metric {metric.name}({metric.selector})"
    if metric.target_kind != "Utilization":
        return f"{metric.name} resource"
    what = "container resource" if metric.kind == "ContainerResource" else "resource"
    return f"{metric.name} {what} utilization (percentage of request)"


def _one(
    metric: Metric,
    figure: Figures,
    scale: Scale,
    tolerances: tuple[float, float],
    controller: Controller,
    now: float,
) -> Proposal:
    if isinstance(figure, Lost):
        raise Unable(_lost(metric, figure.why, scale.namespace))
    match metric.kind:
        case "Pods":
            return of_pods(metric, cast(Mapping[str, int], figure), scale, tolerances)
        case "External":
            return of_total(metric, summed(metric, cast(tuple[int, ...], figure)), scale, tolerances)
        case "Object":
            return of_total(metric, cast(int, figure), scale, tolerances)
    readings = cast(Mapping[str, Reading], figure)
    try:
        return of_resource(metric, readings, scale, tolerances, controller, now)
    except Unable as error:
        raise Unable(f"failed to get {metric.name} {_sort(metric)}: {error}") from None


def _sort(metric: Metric) -> str:
    return "utilization" if metric.target_kind == "Utilization" else "usage"


def _lost(metric: Metric, why: str, namespace: str) -> str:
    """That a figure could not be had, in the controller's words."""
    match metric.kind:
        case "Pods":
            return f"unable to get metric {metric.name}: {why}"
        case "External":
            return f"unable to get external metric {namespace}/{metric.name}/{metric.selector}: {why}"
        case "Object":
            kind, name = metric.about
            return f"unable to get metric {metric.name}: {kind} on {namespace} {name}/{why}"
    said = f"unable to get metrics for resource {metric.name}: {why}"
    return f"failed to get {metric.name} {_sort(metric)}: {said}"
