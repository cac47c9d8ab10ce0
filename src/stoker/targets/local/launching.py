"""Starting the supervisor: nobody's child, so that no caller has to wait for it."""

import contextlib
import os
import subprocess
import sys

from stoker.errors import EnvironmentFailed
from stoker.system.file_errors import unwritable
from stoker.system.files import tail
from stoker.targets.local.folder import ANOTHER_LIVES, Folder

SUPERVISOR_SECONDS = 60.0


def ensure_supervisor(folder: Folder) -> None:
    """Sees to it that one lives. Raises: StateBroken, EnvironmentFailed, where it does not start."""
    if folder.supervised:
        return
    try:
        log = os.open(folder.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise unwritable(folder.logs / "supervisor.log", error) from None
    argv = (sys.executable, "-m", "stoker.targets.local.supervisor", str(folder.path))
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        cwd=folder.path,
    )
    os.close(log)
    with contextlib.suppress(subprocess.TimeoutExpired):
        if process.wait(SUPERVISOR_SECONDS) in (0, ANOTHER_LIVES):
            return  # it goes on by itself, or another one was faster
    process.kill()
    lines = tail(folder.logs / "supervisor.log", 5)
    raise EnvironmentFailed("the supervisor does not start", why="\n".join(lines), at=str(folder.logs))
