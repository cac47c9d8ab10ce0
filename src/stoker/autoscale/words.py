"""What an autoscaler does and why, in one sentence: its own conditions, read with its policy and figures.

A condition may be older than the figures: while one is missing the controller computes nothing, and
ScalingLimited and the number it wanted stay as they were. Source: pkg/controller/podautoscaler/horizontal.go,
Kubernetes 1.30 to 1.36.
"""

import math
from collections.abc import Mapping

from stoker.autoscale.conditions import Said
from stoker.autoscale.policy import Controller, Policy, Rules
from stoker.autoscale.proposals import tolerances_of
from stoker.autoscale.usage import Proposal
from stoker.fleet.state import ScaledBy, Scaling

UNABLE = "the HPA was unable to compute the replica count: "
ROUNDING = 1e-9
NOTHING = Said("", False, "", "")


def reason(
    by: Scaling, policy: Policy, conditions: Mapping[str, Said], proposal: Proposal | None = None
) -> str:
    """What it compares, and what follows. proposal: how the largest metric's pods were counted, where that is
    known."""
    able, active = conditions.get("AbleToScale"), conditions.get("ScalingActive")
    if able is not None and not able.status:
        return f"it cannot scale: {able.message}"
    if active is not None and not active.status:
        return _off(by, policy, active)
    if by.wanted != by.now and not by.low <= by.now <= by.high:
        edge = f"under its minimum of {by.low}" if by.now < by.low else f"over its maximum of {by.high}"
        return f"{by.now} is {edge}: it goes to {by.wanted}"
    found = [
        (one.value / one.target, one, number)
        for number, one in enumerate(by.metrics)
        if one.value is not None and one.target
    ]
    if not found:
        return "no figure reaches it yet"
    ratio, most, number = max(found, key=lambda one: one[0])
    each = " a replica" if policy.metrics[number].target_kind != "Value" else ""
    over = f" over {proposal.counted}" if proposal and proposal.counted else ""
    lost = [one.metric for one in by.metrics if one.value is None]
    beside = f" (no figure of {', '.join(lost)} reaches it)" if lost else ""
    head = f"{most.metric} is {most.value:g}{each}{over}, {most.target:g} wanted{beside}"
    if proposal and (proposal.missing or (proposal.unready and proposal.ratio > 1)):
        head += _counted(proposal, most.target or 0)
        ratio = proposal.again
    return f"{head}: {_follows(by, ratio, policy, conditions, proposal)}"


def coming(by: Scaling, policy: Policy, conditions: Mapping[str, Said], controller: Controller) -> str:
    """What comes next of an HPA whose history only its controller knows, and by when at the latest; empty
    where nothing would change if the figures stay."""
    active = conditions.get("ScalingActive")
    if active is None or not active.status or by.wanted != by.now:
        return ""
    held, limited = conditions.get("AbleToScale", NOTHING).reason, conditions.get("ScalingLimited", NOTHING)
    if held == "ScaleDownStabilized":
        window = (
            controller.window if policy.down is None or policy.down.window is None else policy.down.window
        )
        return f"fewer within {window + controller.sync:.0f} s, if the figures stay"
    if held == "ScaleUpStabilized" and policy.up is not None:
        return f"more within {(policy.up.window or 0) + controller.sync:.0f} s, if the figures stay"
    rules = {"ScaleUpLimit": policy.up, "ScaleDownLimit": policy.down}.get(limited.reason)
    if limited.status and rules is not None and not _disabled(rules):
        way = "more" if limited.reason == "ScaleUpLimit" else "fewer"
        return f"{way} within {rules.longest + controller.sync:.0f} s, if the figures stay"
    return ""


def _counted(proposal: Proposal, target: float) -> str:
    """What pods without a figure were taken for, and what came of it."""
    idle = proposal.missing if proposal.ratio > 1 else 0
    idle += proposal.unready if proposal.ratio > 1 else 0
    words = f"{idle} not serving yet counted as 0" if idle else ""
    if proposal.missing and proposal.ratio < 1:
        words = f"{proposal.missing} without a figure counted as at the target"
    return f"; {words}: {proposal.again * target:.3g}" if words else ""


def _off(by: Scaling, policy: Policy, active: Said) -> str:
    """Why it computes nothing. One metric that is missing is enough, unless the others ask for more
    replicas."""
    said = active.message.removeprefix(UNABLE)
    if active.reason == "ScalingDisabled":
        return "it is off: the fleet was scaled to 0"
    if not active.reason.startswith("FailedGet"):
        return f"it is off: {said or active.reason}"
    if len(by.metrics) < 2:
        return f"no figure reaches it{f': {said}' if said else ''}"
    lost = [
        one.metric
        for number, one in enumerate(by.metrics)
        if one.value is None or policy.metrics[number].name in said
    ]
    others = [one for one in by.metrics if one.metric not in lost]
    if not others:
        return f"no figure reaches it, it keeps {by.now}: {said}"
    told = ", ".join(f"{one.metric} is {_known(one)}" for one in others)
    return (
        f"no figure of {', '.join(lost)} reaches it, so it keeps {by.now} ({told}; with one missing it "
        f"only goes up): {said}"
    )


def _known(one: ScaledBy) -> str:
    target = f" of {one.target:g}" if one.target is not None else ""
    return f"{one.value:g}{target}"


def _follows(
    by: Scaling,
    ratio: float,
    policy: Policy,
    conditions: Mapping[str, Said],
    proposal: Proposal | None,
) -> str:
    limited = conditions.get("ScalingLimited", NOTHING)
    limit = limited.reason if limited.status else ""
    if by.wanted > by.now:
        more = {
            "ScaleUpLimit": ", as fast as its rate lets it: more would be needed",
            "TooManyReplicas": ", its maximum: more would be needed",
        }
        beside = more.get(limit, ", as recent figures asked for" if ratio < 1 else "")
        return f"it goes from {by.now} to {by.wanted}{beside}"
    if by.wanted < by.now:
        less = {
            "ScaleDownLimit": ", as fast as its rate lets it: fewer would do",
            "TooFewReplicas": ", its minimum",
        }
        beside = less.get(limit, ", as only replicas that run are counted" if ratio > 1 else "")
        return f"it goes from {by.now} down to {by.wanted}{beside}"
    held = conditions.get("AbleToScale", NOTHING).reason
    up, down = tolerances_of(policy, Controller())
    if 1 - down - ROUNDING <= ratio <= 1 + up + ROUNDING:
        return f"within {(up if ratio >= 1 else down) * 100:g} %, it keeps {by.now}"
    if proposal and proposal.kept == "direction":
        return f"that flips the direction, it keeps {by.now}"
    return _too_few(by, held, limit, policy) if ratio > 1 else _too_many(by, ratio, held, limit, policy)


def _too_few(by: Scaling, held: str, limit: str, policy: Policy) -> str:
    """More would be needed, and there are none."""
    if held == "ScaleUpStabilized":
        return f"more would be needed, and it waits out the scale-up window{_window(policy.up)}"
    if limit == "TooManyReplicas":
        return f"more than its maximum of {by.high} would be needed"
    if limit == "ScaleUpLimit" or _disabled(policy.up):
        return _rate(by, policy.up, "scaleUp", "more would be needed", "added")
    return f"it keeps {by.now} for now; replicas that do not serve yet count as idle"


def _too_many(by: Scaling, ratio: float, held: str, limit: str, policy: Policy) -> str:
    """Fewer would do, and there are as many as before."""
    if held == "ScaleDownStabilized":
        return f"fewer would do, and it waits out the stabilization window{_window(policy.down)}"
    if limit == "TooFewReplicas" or by.now <= by.low:
        return f"it keeps its minimum of {by.low}"
    if limit == "ScaleDownLimit" or _disabled(policy.down):
        return _rate(by, policy.down, "scaleDown", "fewer would do", "taken away")
    if math.ceil(ratio * by.now - ROUNDING) >= by.now:
        return f"it keeps {by.now}: {by.now - 1} would be too few"
    return f"it keeps {by.now} for now; replicas without a figure count as if they were at the target"


def _rate(by: Scaling, rules: Rules | None, way: str, what: str, did: str) -> str:
    if _disabled(rules):
        return f"{what}, and its {way} is Disabled: it keeps {by.now}"
    return f"{what}, and it has {did} as many as its rate lets it for now: it keeps {by.now}"


def _disabled(rules: Rules | None) -> bool:
    return rules is not None and rules.select == "Disabled"


def _window(rules: Rules | None) -> str:
    return f" of {rules.window} s" if rules is not None and rules.window else ""
