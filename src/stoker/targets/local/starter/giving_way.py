"""Work that gives way: on cores that others need it is done in short pieces, with pauses.

The threads of an engine on a CPU wait for each other in every layer of every step: one that loses its core
for a time slice holds up all of them, and a process that only takes its fair share makes a step many times as
long. A lower priority would do, but what it becomes later would have it too.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

PIECE = 0.02  # seconds of computing
# and of rest after it: of what may take its time, and of what somebody waits for
LONG, SHORT = 0.06, 0.02
BESIDE = "STOKER_BESIDE"  # a variable: others serve on this machine as it starts
LOAD = Path("/proc/loadavg")


@contextlib.contextmanager
def giving_way(pause: float) -> Iterator[None]:
    """In the main thread: pauses what the block does while there are more to run than cores; 0 for never."""
    if not pause:
        yield
        return

    def rest(*_: object) -> None:
        if crowded():
            time.sleep(pause)

    before = signal.signal(signal.SIGPROF, rest)
    signal.siginterrupt(signal.SIGPROF, False)
    signal.setitimer(signal.ITIMER_PROF, PIECE, PIECE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def crowded() -> bool:
    """Whether more would run now than there are cores, this process among them."""
    try:
        running = int(LOAD.read_text().split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return False
    return running > (os.cpu_count() or 1)
