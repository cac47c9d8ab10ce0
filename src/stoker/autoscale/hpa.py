"""One sync of the horizontal pod autoscaler, as a function of what it sees and remembers.

Source: pkg/controller/podautoscaler/horizontal.go, reconcileAutoscaler, Kubernetes 1.36.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stoker.autoscale import conditions as say
from stoker.autoscale.conditions import Condition, Said, put
from stoker.autoscale.policy import DOWN, UP, Controller, Policy
from stoker.autoscale.proposals import Proposals, propose
from stoker.autoscale.rates import Change, limited, limited_without_behavior, remember
from stoker.autoscale.seen import Figures, Scale
from stoker.autoscale.windows import (
    Recommendation,
    Recommendations,
    stabilized,
    stabilized_without_behavior,
)

DEFAULT = Controller()
MOMENT = 1e-6  # seconds by which the first recommendation is older than what follows from it
ABOVE = "Current number of replicas above Spec.MaxReplicas"
BELOW = "Current number of replicas below Spec.MinReplicas"


@dataclass(frozen=True, slots=True)
class History:
    """What the controller remembers of an HPA. recommendations: None before the first sync; desired: of the
    last decision; scaled: when it last changed the number."""

    recommendations: Recommendations | None = None
    ups: tuple[Change, ...] = ()
    downs: tuple[Change, ...] = ()
    conditions: tuple[Condition, ...] = ()
    desired: int = 0
    scaled: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a sync.

    wanted: how many replicas from now on; before: how many were asked for. computed: whether a number could
    be had at all. asked: what the metrics asked for, before windows and rates; None where they were not
    looked at, or said nothing. why: the controller's reason for a change, as its event has it.
    """

    wanted: int
    before: int
    computed: bool
    history: History
    proposals: Proposals | None = None
    asked: int | None = None
    why: str = ""

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """The HPA's conditions after it."""
        return self.history.conditions

    def condition(self, kind: str) -> Said | None:
        """What a condition says; None where the HPA has it not."""
        return next((one.said for one in self.conditions if one.said.type == kind), None)


def decide(
    policy: Policy,
    scale: Scale,
    figures: Sequence[Figures],
    history: History,
    now: float,
    controller: Controller = DEFAULT,
) -> Decision:
    """What the controller does at this sync.

    figures: one a metric of the policy. now: seconds, on the clock of the pods and readings. The returned
    history is that of the next sync.
    """
    there = scale.wanted
    history = _begun(history, there, now)
    if there == 0 and not _may_wake(policy, history, controller):
        return _asleep(history, controller, now)
    if there > policy.high:
        return _moved(policy, history, there, policy.high, ABOVE, None, controller, now)
    if 0 < there < policy.low:
        return _moved(policy, history, there, policy.low, BELOW, None, controller, now)
    proposals = propose(policy, scale, figures, controller, now)
    history = replace(history, conditions=put(history.conditions, proposals.active, now))
    if proposals.count is None:
        return Decision(there, there, False, history, proposals)
    asked = max(0, proposals.count)
    why = f"{proposals.metric} above target" if asked > there else ""
    why = "All metrics below target" if asked < there else why
    wanted, history = _normalized(policy, history, there, asked, controller, now)
    if there == 0 and wanted < policy.low:
        wanted, why = policy.low, why or BELOW
    if wanted == there:
        return Decision(there, there, True, replace(history, desired=there), proposals, asked)
    return _moved(policy, history, there, wanted, why, proposals, controller, now, asked)


def _begun(history: History, there: int, now: float) -> History:
    """The first number that is seen counts as recommended."""
    recommendations = history.recommendations
    if recommendations is None:
        recommendations = (Recommendation(there, now - MOMENT),)
    return History(
        recommendations,
        history.ups,
        history.downs,
        put(history.conditions, say.GOT_SCALE, now),
        history.desired,
        history.scaled,
    )


def _may_wake(policy: Policy, history: History, controller: Controller) -> bool:
    """Whether it may bring back what stands at zero: only what it took there itself."""
    if not controller.scale_to_zero or say.AT_ZERO not in (one.said for one in history.conditions):
        return False
    return policy.low != 0 or _over_all(policy)


def _over_all(policy: Policy) -> bool:
    return any(metric.kind in ("Object", "External") for metric in policy.metrics)


def _asleep(history: History, controller: Controller, now: float) -> Decision:
    """Somebody took it to zero: nothing is computed."""
    found = put(history.conditions, say.DISABLED, now)
    if not controller.scale_to_zero:
        found = _without_zero(found)
    return Decision(0, 0, True, replace(history, conditions=found, desired=0))


def _without_zero(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """A cluster without the gate has no such condition."""
    return tuple(one for one in conditions if one.said.type != say.ZERO)


def _normalized(
    policy: Policy, history: History, there: int, asked: int, controller: Controller, now: float
) -> tuple[int, History]:
    """A number within windows, rates and bounds."""
    past, bounds = history.recommendations or (), (policy.low, policy.high)
    if policy.up is None and policy.down is None:
        held, able, kept = stabilized_without_behavior(asked, past, controller.window, now)
        wanted, limit = limited_without_behavior(held, there, bounds)
    else:
        up, down = policy.up or UP, policy.down or DOWN
        windows = (
            float(up.window or 0),
            float(int(controller.window) if down.window is None else down.window),
        )
        held, able, kept = stabilized(asked, there, past, windows, now)
        wanted, limit = limited(held, there, bounds, (up, down), (history.ups, history.downs), now)
    found = put(put(history.conditions, able, now), limit, now)
    return wanted, History(kept, history.ups, history.downs, found, history.desired, history.scaled)


def _moved(
    policy: Policy,
    history: History,
    there: int,
    wanted: int,
    why: str,
    proposals: Proposals | None,
    controller: Controller,
    now: float,
    asked: int | None = None,
) -> Decision:
    """The number is changed."""
    found = put(history.conditions, say.rescaled(wanted), now)
    if controller.scale_to_zero:
        itself = there > 0 == wanted == policy.low and _over_all(policy)
        found = put(found, say.AT_ZERO if itself else say.NOT_ZERO, now)
    else:
        found = _without_zero(found)
    ups, downs = history.ups, history.downs
    if policy.up is not None or policy.down is not None:
        if wanted > there:
            ups = remember(ups, wanted - there, (policy.up or UP).longest, now)
        else:
            downs = remember(downs, there - wanted, (policy.down or DOWN).longest, now)
    history = History(history.recommendations, ups, downs, found, wanted, now)
    return Decision(wanted, there, True, history, proposals, asked, why)
