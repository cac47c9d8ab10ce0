"""Taking over the children of a supervisor that is gone, and ending strays that nobody recorded."""

import contextlib
import logging
import os
import signal

import psutil

from stoker.system.proc import signal_group
from stoker.targets.local.child import FLEET_VARIABLE, Child
from stoker.targets.local.folder import Folder

log = logging.getLogger("stoker.supervisor")


def adopt(folder: Folder) -> list[Child]:
    """The recorded children that still run. Any other process of this fleet is ended."""
    record = folder.record()
    children = [Child.adopt(raw, folder.logs) for raw in record["children"]] if record else []
    for child in children:
        if child.id is not None and not child.id.alive:
            log.warning("%s (pid %d) ended while nobody watched", child.process.key, child.id.pid)
        elif child.id is not None:
            log.warning("adopted %s, pid %d", child.process.key, child.id.pid)
    _end_strays(folder, {child.id.pid for child in children if child.id is not None})
    return children


def _end_strays(folder: Folder, known: set[int]) -> None:
    """Group leaders with this fleet's mark that no record names: started in the moment their supervisor died."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError, OSError):
            if (
                process.pid == os.getpid()
                or os.getpgid(process.pid) in known
                or process.uids().real != os.getuid()
            ):
                continue
            if os.getpgid(process.pid) == process.pid and process.environ().get(FLEET_VARIABLE) == str(
                folder.path
            ):
                log.warning("ending a stray process, pid %d", process.pid)
                signal_group(process.pid, signal.SIGKILL)
