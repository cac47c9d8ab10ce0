"""`doctor`: looks at this machine and says what is ready and what is not."""

import contextlib
import os
import platform
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from stoker.advise.machine import MachineFacts, check_machine
from stoker.errors import StateBroken
from stoker.findings import Finding
from stoker.operate.local_fleet import connect
from stoker.operate.prepare import CONSOLE
from stoker.planner.group import Group
from stoker.system import installation, paths
from stoker.system.file_errors import unwritable
from stoker.system.proc import port_free, port_owner
from stoker.targets.local import machine
from stoker.targets.local.known import names
from stoker.units import Bytes

PORT = 8000


def doctor() -> tuple[Finding, ...]:
    """Findings about this machine, notes included."""
    return check_machine(look())


def look() -> MachineFacts:
    """The facts, gathered now."""
    cache = paths.weights()
    wrong = _home()
    taken = not port_free("127.0.0.1", PORT) and not _fleets()
    return MachineFacts(
        python=sys.version_info[:2],
        system=platform.system(),
        machine=platform.machine(),
        hardware=machine.offer(),
        engines=installation.engines(),
        gateway=installation.here("uvloop"),
        page=installation.here(*CONSOLE, "gradio"),
        disk_free=Bytes(shutil.disk_usage(_there(cache)).free),
        cache=str(cache),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1] % (1 << 62),
        port=PORT,
        port_owner=(port_owner(PORT) or "another process") if taken else None,
        groups=_groups(),
        wrong=wrong,
        installed=installation.look(),
    )


def _home() -> tuple[Finding, ...]:
    """What keeps Stoker from its own folders: each is made, and something is written into it."""
    found = []
    for folder in (paths.weights(), paths.fleets()):
        try:
            with tempfile.TemporaryFile(dir=paths.private(folder)) as file:
                file.write(b"0")
        except OSError as error:
            found.append(unwritable(folder, OSError(error.errno, error.strerror, str(folder))).finding)
    try:
        names()
    except StateBroken as error:
        found.append(error.finding)
    return tuple({one.at: one for one in found}.values())


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((one for one in (folder, *folder.parents) if os.path.isdir(one)), Path("/"))


def _fleets() -> tuple[str, ...]:
    """The fleets that run here; none where their folder cannot be read, which is theirs to say."""
    try:
        return names()
    except StateBroken:
        return ()


def _groups() -> tuple[tuple[str, Group], ...]:
    found = []
    for name in _fleets():
        with contextlib.suppress(StateBroken):
            if (group := connect(name).group) is not None:
                found.append((name, group))
    return tuple(found)
