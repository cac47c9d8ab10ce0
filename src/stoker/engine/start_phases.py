"""Where the seconds of a start went, out of the stamps in vLLM's own log; they count whole seconds.

Source: vLLM 0.32's log format (`%m-%d %H:%M:%S`, vllm/logger.py) and the lines that `engine.log` knows.
"""

import re
from collections.abc import Iterable

DAY = 86_400
_STAMP = re.compile(r"\b(?:DEBUG|INFO|WARNING|ERROR) \d\d-\d\d (\d\d):(\d\d):(\d\d)\b")
# Each phase ends with the first line that says so.
_ENDS = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("imports", r"█ +version \d|server version \d|non-default args:"),
        ("engine core", r"Initializing a V1 LLM engine"),
        ("worker", r"Starting to load model|Loading model from scratch"),
        ("load", r"Loading weights took|Model loading took"),
        ("warm-up", r"init engine .*took"),
        ("API", r"Application startup complete|Starting vLLM (?:API )?server"),
    )
)
PHASES = tuple(name for name, _ in _ENDS)


def start_phases(lines: Iterable[str], began: float) -> dict[str, float]:
    """Seconds of each phase that the log shows to have ended, in their order; began: seconds of the day."""
    found: dict[str, float] = {}
    at, left = began, list(_ENDS)
    stamp = began
    for line in lines:
        if (said := _STAMP.search(line)) is not None:
            stamp = _seconds(said)
        ended = next((n for n, (_, pattern) in enumerate(left) if pattern.search(line)), None)
        if ended is None:
            continue
        found[left[ended][0]] = max(0.0, (stamp - at + 1) % DAY - 1)  # a whole second may lie before `began`
        at, left = stamp, left[ended + 1 :]
    return found


def _seconds(stamp: re.Match[str]) -> float:
    return 3600.0 * int(stamp[1]) + 60 * int(stamp[2]) + int(stamp[3])
