"""How fast and how far a count may move: without a behavior, and by its policies.

Each answer is the count that is allowed, the reason and the message of the condition ScalingLimited.
"""

from typing import Any

from benchmarks.hpa_oracle.golang import MAX_INT32, MIN_INT32, ceiling, float_to_int32, int32
from benchmarks.hpa_oracle.history import History

Limited = tuple[int, str, str]

FREE = ("DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FAST_UP = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
TOO_FAST_DOWN = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)
TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")


def plainly(current: int, desired: int, least: int, most: int) -> Limited:
    """Without a behavior: between the bounds, and to twice the count or 4, whichever is more."""
    fastest = float_to_int32(max(2.0 * float(current), 4.0))
    allowed, why = (fastest, TOO_FAST_UP) if most > fastest else (most, TOO_MANY)
    if desired < least:
        return least, *TOO_FEW
    if desired > allowed:
        return allowed, *why
    return desired, *FREE


def by_policies(
    current: int, desired: int, least: int, most: int, behavior: dict[str, Any], history: History, now: int
) -> Limited:
    """By the policies of the direction; the maximum is looked at upwards only, the minimum downwards only."""
    if desired > current:
        fastest = max(current, up_limit(current, behavior["scaleUp"], history, now))
        allowed, why = (fastest, TOO_FAST_UP) if most > fastest else (most, TOO_MANY)
        if desired > allowed:
            return allowed, *why
    elif desired < current:
        fastest = min(current, down_limit(current, behavior["scaleDown"], history, now))
        allowed, why = (fastest, TOO_FAST_DOWN) if least < fastest else (least, TOO_FEW)
        if desired < allowed:
            return allowed, *why
    return desired, *FREE


def up_limit(current: int, rules: dict[str, Any], history: History, now: int) -> int:
    """The most that the policies allow; percent round up, and may add one more by the float's last bit."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    smallest = rules.get("selectPolicy") == "Min"
    result = MAX_INT32 if smallest else MIN_INT32
    proposed = 0
    for policy in rules.get("policies") or []:
        start = history.at_start(current, policy["periodSeconds"], now)
        if policy["type"] == "Pods":
            proposed = int32(start + policy["value"])
        elif policy["type"] == "Percent":
            proposed = float_to_int32(ceiling(float(start) * (1 + float(policy["value"]) / 100)))
        result = min(result, proposed) if smallest else max(result, proposed)
    return result


def down_limit(current: int, rules: dict[str, Any], history: History, now: int) -> int:
    """The fewest that the policies allow; percent are cut, so that they take one more."""
    if rules.get("selectPolicy") == "Disabled":
        return current
    smallest = rules.get("selectPolicy") == "Min"
    result = MIN_INT32 if smallest else MAX_INT32
    proposed = 0
    for policy in rules.get("policies") or []:
        start = history.at_start(current, policy["periodSeconds"], now)
        if policy["type"] == "Pods":
            proposed = int32(start - policy["value"])
        elif policy["type"] == "Percent":
            proposed = float_to_int32(float(start) * (1 - float(policy["value"]) / 100))
        result = max(result, proposed) if smallest else min(result, proposed)
    return result
