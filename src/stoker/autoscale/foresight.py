"""What the autoscaler will do next if the figures stay as they are, and when."""

from collections.abc import Sequence

from stoker.autoscale.hpa import Decision, decide
from stoker.autoscale.policy import DOWN, UP, Controller, Policy
from stoker.autoscale.seen import Figures, Scale

MOST = 500  # syncs that are looked ahead at most


def next_change(
    policy: Policy,
    scale: Scale,
    figures: Sequence[Figures],
    decision: Decision,
    now: float,
    controller: Controller,
) -> tuple[int, float] | None:
    """The next number and the seconds until it is decided; None where nothing would change.

    The same function decides at each sync to come, with the same pods and figures: windows and periods are
    all that passes.
    """
    if decision.wanted != scale.wanted or not decision.computed or decision.asked in (None, scale.wanted):
        return None
    history = decision.history
    for sync in range(1, min(MOST, int(_horizon(policy, controller) / controller.sync) + 2)):
        later = decide(policy, scale, figures, history, now + sync * controller.sync, controller)
        if later.wanted != scale.wanted:
            return later.wanted, sync * controller.sync
        history = later.history
    return None


def _horizon(policy: Policy, controller: Controller) -> float:
    """Seconds after which nothing that happened until now counts any more."""
    up, down = policy.up or UP, policy.down or DOWN
    window = controller.window if down.window is None else down.window
    return max(float(up.window or 0), float(window), float(up.longest), float(down.longest))
