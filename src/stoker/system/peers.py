"""Who asks over loopback: the user whose process holds the other end of a connection, by the kernel's own
table."""

import os
import socket
import struct
from pathlib import Path

import psutil

Address = tuple[str, int]
TABLES = {socket.AF_INET: Path("/proc/net/tcp"), socket.AF_INET6: Path("/proc/net/tcp6")}
OPEN = frozenset(
    {"01", "04", "05", "08"}
)  # established, or closed by one side: its other end can still be read
ROOT = 0


def is_own(client: Address, server: Address) -> bool:
    """Whether a connection from `client` to `server`, both on this machine, is of this process' user, or of
    root.

    False where that cannot be told: behind a proxy it is the proxy's user.
    """
    if TABLES[socket.AF_INET].exists():
        return uid_of(client, server) in (os.getuid(), ROOT)
    return _held_by_us(client)


def uid_of(client: Address, server: Address) -> int | None:
    """The user id of the client's end, where the kernel lists it. Linux alone tells."""
    family = socket.AF_INET6 if ":" in client[0] else socket.AF_INET
    try:
        ends = _hex(family, *client), _hex(family, *server)
        lines = TABLES[family].read_text().splitlines()[1:]
    except (OSError, ValueError):
        return None
    for fields in (line.split() for line in lines):
        if (fields[1], fields[2]) == ends and fields[3] in OPEN:
            return int(fields[7])
    return None


def _hex(family: socket.AddressFamily, host: str, port: int) -> str:
    """An address as /proc/net/tcp has it: words of 32 bits in the machine's own order."""
    packed = socket.inet_pton(family, host)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"


def _held_by_us(client: Address) -> bool:
    """Whether a process of this user holds the client's end: without /proc its own processes are all that one
    may ask."""
    for process in psutil.process_iter():
        try:
            if process.uids().real == os.getuid() and any(
                one.laddr and tuple(one.laddr) == client for one in process.net_connections("tcp")
            ):
                return True
        except (psutil.Error, OSError):
            continue
    return False
