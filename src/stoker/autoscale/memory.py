"""An autoscaler's history as plain values, so that one that is started again goes on where it was."""

from typing import Any

from stoker.autoscale.conditions import Condition, Said
from stoker.autoscale.hpa import History
from stoker.autoscale.rates import Change
from stoker.autoscale.windows import Recommendation


def to_plain(history: History) -> dict[str, Any]:
    """Lists and numbers, for JSON."""
    return {
        "recommendations": None
        if history.recommendations is None
        else [list(one) for one in history.recommendations],
        "ups": [list(one) for one in history.ups],
        "downs": [list(one) for one in history.downs],
        "conditions": [[*one.said, one.since] for one in history.conditions],
        "desired": history.desired,
        "scaled": history.scaled,
    }


def from_plain(raw: Any) -> History:
    """What `to_plain` made. Raises: ValueError, for anything else."""
    try:
        past = raw["recommendations"]
        return History(
            None if past is None else tuple(Recommendation(int(n), float(at)) for n, at in past),
            tuple(Change(int(n), float(at), bool(old)) for n, at, old in raw["ups"]),
            tuple(Change(int(n), float(at), bool(old)) for n, at, old in raw["downs"]),
            tuple(
                Condition(Said(str(kind), bool(status), str(reason), str(message)), float(since))
                for kind, status, reason, message, since in raw["conditions"]
            ),
            int(raw["desired"]),
            None if raw["scaled"] is None else float(raw["scaled"]),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"no autoscaler's history: {type(error).__name__}: {error}") from None
