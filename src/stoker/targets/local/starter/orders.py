"""What a starter that waits is told by the supervisor: the command, its environment, its log."""

import ctypes
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence

from stoker.targets.local.starter.shown import environment_text, show_command, show_environment

WARM, TAKEN = b"w", b"t"
ROOM = "STOKER_ROOM"  # a variable that only makes room for what is written over it
ANSWER_SECONDS = 1.0
_PDEATHSIG = 1  # prctl(2)


def room_for(environment: Mapping[str, str]) -> int:
    """Bytes that the environment takes in memory, with some to spare."""
    return len(environment_text(environment)) + 4096


def order(channel: socket.socket, argv: Sequence[str], environment: Mapping[str, str], log: int) -> bool:
    """Tells a starter what to become; False where it does not answer."""
    text = json.dumps({"argv": list(argv), "env": dict(environment)}).encode()
    try:
        channel.settimeout(ANSWER_SECONDS)
        socket.send_fds(channel, [b"."], [log])
        channel.sendall(text)
        channel.shutdown(socket.SHUT_WR)
        return channel.recv(1) == TAKEN
    except OSError:
        return False


def wait(number: int) -> list[str]:
    """In the starter: says that it is warm, waits, and becomes what it is told. Ends where nobody is left to
    tell."""
    channel = socket.socket(fileno=number)
    show_command([sys.executable, "stoker", "starter", "waits"])
    channel.sendall(WARM)
    mark, files, _, _ = socket.recv_fds(channel, 1, 1)
    if not mark:
        sys.exit(0)
    parts = []
    while part := channel.recv(1 << 16):
        parts.append(part)
    told = json.loads(b"".join(parts))
    _die_with_parent(0)
    for output in (1, 2):
        os.dup2(files[0], output)
    os.close(files[0])
    os.environ.clear()
    os.environ.update(told["env"])
    tempfile.tempdir = None
    show_environment(told["env"])
    show_command([sys.executable, *told["argv"]])
    channel.sendall(TAKEN)
    channel.close()
    return list(told["argv"])


def die_with_parent() -> None:
    """The system ends this process with the one that started it, as long as it only waits."""
    _die_with_parent(signal.SIGKILL)


def _die_with_parent(number: int) -> None:
    if hasattr(ctypes, "CDLL") and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PDEATHSIG, number, 0, 0, 0)
