"""A decision as it is shown: the scaler's line of `status`, in the words that a cluster's HPA gets."""

from dataclasses import replace

from stoker.autoscale.foresight import next_change
from stoker.autoscale.hpa import Decision
from stoker.autoscale.policy import Controller, Metric, Policy
from stoker.autoscale.seen import Figures, Scale
from stoker.autoscale.totals import NONE_THERE
from stoker.autoscale.usage import Proposal
from stoker.autoscale.words import reason
from stoker.fleet.state import ScaledBy, Scaling


def shown(
    name: str,
    policy: Policy,
    scale: Scale,
    decision: Decision,
    figures: list[Figures],
    now: float,
    controller: Controller,
    since: float,
) -> Scaling:
    """The scaler at this moment. since: when it began to decide."""
    each = decision.proposals.each if decision.proposals else (None,) * len(policy.metrics)
    metrics = tuple(
        _metric(metric, one) for metric, one in zip(policy.metrics, each or (None,) * 9, strict=False)
    )
    by = Scaling(name, policy.low, policy.high, scale.wanted, decision.wanted, metrics, "", since)
    said = {one.said.type: one.said for one in decision.conditions}
    largest = max((one for one in each if one), key=lambda one: one.ratio, default=None)
    text = reason(by, policy, said, largest)
    coming = next_change(policy, scale, figures, decision, now, controller)
    soon = f"to {coming[0]} in {coming[1]:.0f} s, if the figures stay" if coming else ""
    return replace(by, reason=text, soon=soon)


def _metric(metric: Metric, one: Proposal | None) -> ScaledBy:
    value = None if one is None or one.current == NONE_THERE else one.current / 1000
    return ScaledBy(metric.name, value, metric.target / 1000)
