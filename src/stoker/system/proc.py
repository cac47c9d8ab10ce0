"""Processes by pid and start time, so that a pid used again is never mistaken for the one we knew."""

import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process that cannot be confused: its pid and when it started (seconds since boot or epoch)."""

    pid: int
    started: float

    @property
    def alive(self) -> bool:
        """Whether that very process still runs; a zombie does not."""
        return started_at(self.pid) == self.started


def started_at(pid: int) -> float | None:
    """When the process started, in the kernel's own clock; None where it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else float(fields[19])
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, IndexError):
        return None
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    return None


def identify(pid: int) -> ProcessId | None:
    """The process of that pid as it is now."""
    started = started_at(pid)
    return None if started is None else ProcessId(pid, started)


def signal_group(pid: int, number: signal.Signals) -> bool:
    """Signals a whole process group; False where none is left."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS: a group of zombies
        return False
    return True


def group_members(group: int) -> list[int]:
    """Pids of a process group that still run, zombies left out."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group and started_at(pid) is not None:
                found.append(pid)
    return found


def port_free(host: str, port: int) -> bool:
    """Whether the port can be bound now, at each of several addresses with commas between them."""
    return all(bind_error(one, port) is None for one in host.split(","))


def bind_error(host: str, port: int) -> OSError | None:
    """Why a port of one address or name cannot be bound now; None where it can."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in {(info[0], info[4]) for info in found}:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        return error
    return None


def own_addresses() -> list[str]:
    """The addresses of this machine, loopback first."""
    found = [
        one.address.partition("%")[0]
        for of_one in psutil.net_if_addrs().values()
        for one in of_one
        if one.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return sorted(set(found), key=lambda address: (not address.startswith(("127.", "::1")), address))


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_owner(port: int) -> str | None:
    """Who listens on a port, as `name (pid 123)`, where the system tells."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if (
                connection.status == psutil.CONN_LISTEN
                and connection.laddr
                and connection.laddr.port == port
                and connection.pid
            ):
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None
