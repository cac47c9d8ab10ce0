"""What an answer of the API server says beside its object: its clock, when to ask again, what it leaves
empty."""

from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from stoker.system import clock

LONGEST_PAUSE = 10.0


def again_in(answer: httpx2.Response) -> float | None:
    """In how many seconds a call that was turned away may be made again; None where it was not.

    429 is `storage is (re)initializing` or a server that has too much to do: nothing was done of what it
    refuses.
    """
    if answer.status_code != 429:
        return None
    try:
        return min(LONGEST_PAUSE, max(0.1, float(answer.headers.get("retry-after", "1"))))
    except ValueError:
        return 1.0


def ahead(date: str | None, before: float) -> float:
    """How far the clock of an answer is before this machine's; as before, where it says nothing or the
    like."""
    try:
        found = parsedate_to_datetime(date or "").timestamp() - clock.now()
    except ValueError:
        return before
    return 0.0 if abs(found) < 2.0 else found  # the header has whole seconds


def told(value: Any) -> Any:
    """A value without its nulls, which some empty lists are written as; what others keep under `data` stays
    as it is."""
    if isinstance(value, dict):
        return {key: one if key == "data" else told(one) for key, one in value.items() if one is not None}
    return [told(one) for one in value] if isinstance(value, list) else value
