"""A deadline for questions that have none of their own: programs, hubs, a cluster that answers slowly."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from stoker.errors import TimedOut
from stoker.events import Event, Progress, Report

T = TypeVar("T")


def bounded(ask: Callable[[Report], T], report: Report, seconds: float, what: str) -> T:
    """What `ask` returns or raises, asked on a thread of its own; it only asks, so that nobody waits for its
    end.

    Raises: TimedOut after `seconds`; what it reports later is dropped.
    """
    found: dict[str, Any] = {}
    over = threading.Event()

    def told(event: Event | Progress) -> None:
        if not over.is_set():
            report(event)

    def run() -> None:
        try:
            found["value"] = ask(told)
        except BaseException as error:
            found["error"] = error

    thread = threading.Thread(target=run, name=what, daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    if thread.is_alive():
        over.set()
        raise TimedOut(
            f"{what} were not done after {seconds:.0f} s",
            why="what they ask, the cluster, gcloud or the model's source, has not answered yet; nothing was "
            "applied",
            fix="`kubectl cluster-info` shows whether the cluster answers; a longer --timeout",
            rule="checks-late",
        )
    if "error" in found:
        raise found["error"]
    value: T = found["value"]
    return value
