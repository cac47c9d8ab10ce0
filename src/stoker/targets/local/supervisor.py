"""The supervisor's process: its lock, its signals, and its end."""

import asyncio
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import IO

from stoker.system.files import try_lock
from stoker.system.log import setup
from stoker.targets.local.folder import ANOTHER_LIVES, Folder
from stoker.targets.local.supervision import Supervisor

LOCK_SECONDS = 1.0


def _hold(folder: Folder) -> IO[str] | None:
    """The fleet's lock. It is asked for a while: whoever looks whether a supervisor lives holds it for a
    moment."""
    deadline = time.monotonic() + LOCK_SECONDS
    while (held := try_lock(folder.lock)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def main() -> int:
    """`python -m stoker.targets.local.supervisor FOLDER`: returns 0 once a process of its own keeps the
    fleet.

    3 where another supervisor lives. The process is nobody's child, so that no caller has to wait for it.
    SIGUSR1 ends the fleet, for who cannot write what is wanted.
    """
    setup("supervisor")
    folder = Folder(Path(sys.argv[1]))
    held = _hold(folder)
    if held is None:
        return ANOTHER_LIVES
    supervisor = Supervisor(folder, held)  # what stands in its way is its caller's to hear
    if os.fork():
        os._exit(0)  # the lock is the open file's, so the child has it
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: setattr(supervisor, "end", True))
    asyncio.run(supervisor.run())
    if not supervisor.replaced:
        folder.forget()
    logging.shutdown()
    os._exit(0)  # at once: whoever waits for the end takes the folder's for it


if __name__ == "__main__":
    sys.exit(main())
