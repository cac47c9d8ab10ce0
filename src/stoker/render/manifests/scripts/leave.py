"""A pod's preStop: `leave.py LINGER DRAIN` serves on, lets answers finish, and ends what is left, before
SIGTERM.

LINGER: seconds in which Services and load balancers learn that the pod leaves. DRAIN: seconds for answers in
progress, by the pod's own count. vLLM would leave open streams without a word until their clients give up.
"""

import contextlib
import json
import sys
import time

from stoker_ask import FOLDER, ask


def hung() -> bool:
    """Whether liveness found that nothing comes any more: there is nothing to wait for."""
    try:
        return bool(json.loads((FOLDER / "alive.json").read_text())["hung"])
    except (OSError, ValueError, KeyError):
        return False


def main(linger: float, drain: float) -> None:
    """Returns once nothing is open."""
    if any(one["warm"] for one in ask("requests")) and not hung():
        time.sleep(linger)
    deadline = time.monotonic() + drain
    while time.monotonic() < deadline and not hung() and any(one["in_flight"] for one in ask("requests")):
        time.sleep(0.5)
    ask("end")


if __name__ == "__main__":
    with contextlib.suppress(OSError):  # a process that does not even answer here has nothing to finish
        main(float(sys.argv[1]), float(sys.argv[2]))
