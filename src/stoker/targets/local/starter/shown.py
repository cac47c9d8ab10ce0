"""What the system shows of this process, its command line and its environment, written anew in place.

The kernel shows the memory in which both stood at the start. A process that becomes another one writes there
what it is now, so that listings, and who looks for its marks, see the same as of one that was started so.

Source: proc_pid_stat(5), fields 48 to 51; Linux fs/proc/base.c, get_mm_cmdline: a last byte that is not zero
says that the command line is one text.
"""

import contextlib
import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path

_ARGUMENTS, _ENVIRONMENT = slice(45, 47), slice(47, 49)  # of the fields after the name


def show_command(argv: Sequence[str]) -> None:
    """Shows another command line, cut where there is less room. Nothing where the system has no such
    place."""
    with contextlib.suppress(OSError, ValueError):
        start, end = _area(_ARGUMENTS)
        text = " ".join(argv).encode("utf-8", "surrogateescape")[: max(0, end - start - 2)]
        _write(start, text.ljust(end - start - 1, b"\0") + b".")


def show_environment(environment: Mapping[str, str]) -> bool:
    """Shows another environment; False where there is no room for it, and nothing is written."""
    with contextlib.suppress(OSError, ValueError):
        start, end = _area(_ENVIRONMENT)
        text = environment_text(environment)
        if len(text) < end - start:
            _write(start, text.ljust(end - start, b"\0"))
            return True
    return False


def environment_text(environment: Mapping[str, str]) -> bytes:
    """The environment as it stands in memory."""
    return "".join(f"{name}={value}\0" for name, value in environment.items()).encode(
        "utf-8", "surrogateescape"
    )


def _area(fields: slice) -> tuple[int, int]:
    """Where it stands in this process' memory. Raises: OSError, ValueError, where the system does not say."""
    found = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[fields]
    start, end = map(int, found)
    if not 0 < start < end:
        raise ValueError("the kernel shows no addresses")
    return start, end


def _write(address: int, data: bytes) -> None:
    ctypes.memmove(address, data, len(data))
