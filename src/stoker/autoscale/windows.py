"""Stabilization: what was recommended before holds back what is recommended now.

Source: pkg/controller/podautoscaler/horizontal.go, Kubernetes 1.36.
"""

from typing import NamedTuple

from stoker.autoscale.conditions import DOWN_STABILIZED, READY, UP_STABILIZED, Said


class Recommendation(NamedTuple):
    """How many were asked for, and when."""

    replicas: int
    at: float


Recommendations = tuple[Recommendation, ...]


def stabilized(
    asked: int, now_there: int, past: Recommendations, windows: tuple[float, float], now: float
) -> tuple[int, Said, Recommendations]:
    """With behavior: the number there, pulled up to the least of the window upwards and down to the most of
    the window downwards. windows: up, down."""
    up_cutoff, down_cutoff = now - windows[0], now - windows[1]
    up = down = asked
    old = None
    for index, (count, at) in enumerate(past):
        if at > up_cutoff and count < up:
            up = count
        if at > down_cutoff and count > down:
            down = count
        if at < up_cutoff and at < down_cutoff:
            old = index
    held = min(max(now_there, up), down)
    kept = _record(past, old, Recommendation(asked, now))
    if held == asked:
        return held, READY, kept
    return held, UP_STABILIZED if asked >= now_there else DOWN_STABILIZED, kept


def stabilized_without_behavior(
    asked: int, past: Recommendations, window: float, now: float
) -> tuple[int, Said, Recommendations]:
    """Without behavior: the most of the controller's own window."""
    cutoff = now - window
    held, old = asked, None
    for index, (count, at) in enumerate(past):
        if at < cutoff:
            old = index
        elif count > held:
            held = count
    return held, READY if held == asked else DOWN_STABILIZED, _record(past, old, Recommendation(asked, now))


def _record(past: Recommendations, old: int | None, new: Recommendation) -> Recommendations:
    """One that is too old gives its place."""
    return (*past, new) if old is None else (*past[:old], new, *past[old + 1 :])
