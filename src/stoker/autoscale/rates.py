"""How fast the number may move: the HPA's policies, and what it may do without any.

Source: pkg/controller/podautoscaler/horizontal.go, Kubernetes 1.36.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from stoker.autoscale.conditions import DOWN_LIMIT, TOO_FEW, TOO_MANY, UP_LIMIT, WITHIN, Said
from stoker.autoscale.policy import Rules


class Change(NamedTuple):
    """That the number was changed: by how many, when, and whether that is so long ago that its place may be
    taken."""

    by: int
    at: float
    outdated: bool = False


def changed(changes: Sequence[Change], period: float, now: float) -> int:
    """By how many within a period."""
    cutoff = now - period
    return sum(one.by for one in changes if one.at > cutoff)


def remember(changes: tuple[Change, ...], by: int, longest: float, now: float) -> tuple[Change, ...]:
    """Changes with a new one, which takes the place of the last outdated one."""
    cutoff = now - longest
    marked = [one if one.outdated or one.at >= cutoff else Change(one.by, one.at, True) for one in changes]
    place = max((index for index, one in enumerate(marked) if one.outdated), default=None)
    if place is None:
        return (*marked, Change(by, now))
    marked[place] = Change(by, now)
    return tuple(marked)


def most(now_there: int, ups: Sequence[Change], downs: Sequence[Change], rules: Rules, now: float) -> int:
    """Up to how many the policies let it go."""
    if rules.select == "Disabled":
        return now_there
    allowed = []
    for rate in rules.rates:
        began = now_there - changed(ups, rate.period, now) + changed(downs, rate.period, now)
        allowed.append(
            began + rate.value if rate.kind == "Pods" else math.ceil(began * (1 + rate.value / 100))
        )
    return min(allowed) if rules.select == "Min" else max(allowed)


def least(now_there: int, ups: Sequence[Change], downs: Sequence[Change], rules: Rules, now: float) -> int:
    """Down to how many the policies let it go."""
    if rules.select == "Disabled":
        return now_there
    allowed = []
    for rate in rules.rates:
        began = now_there - changed(ups, rate.period, now) + changed(downs, rate.period, now)
        allowed.append(began - rate.value if rate.kind == "Pods" else int(began * (1 - rate.value / 100)))
    return max(allowed) if rules.select == "Min" else min(allowed)


def limited(
    asked: int,
    now_there: int,
    bounds: tuple[int, int],
    rules: tuple[Rules, Rules],
    history: tuple[Sequence[Change], Sequence[Change]],
    now: float,
) -> tuple[int, Said]:
    """A number within bounds and rates, and what held it. rules: up, down; history: ups, downs."""
    if asked > now_there:
        rate = max(now_there, most(now_there, *history, rules[0], now))
        allowed, why = (rate, UP_LIMIT) if bounds[1] > rate else (bounds[1], TOO_MANY)
        return (allowed, why) if asked > allowed else (asked, WITHIN)
    if asked < now_there:
        rate = min(now_there, least(now_there, *history, rules[1], now))
        allowed, why = (rate, DOWN_LIMIT) if bounds[0] < rate else (bounds[0], TOO_FEW)
        return (allowed, why) if asked < allowed else (asked, WITHIN)
    return asked, WITHIN


def limited_without_behavior(asked: int, now_there: int, bounds: tuple[int, int]) -> tuple[int, Said]:
    """The same of an HPA that has no behavior: up to twice as many, or four."""
    rate = max(2 * now_there, 4)
    allowed, why = (rate, UP_LIMIT) if bounds[1] > rate else (bounds[1], TOO_MANY)
    if asked < bounds[0]:
        return bounds[0], TOO_FEW
    return (allowed, why) if asked > allowed else (asked, WITHIN)
