"""How a gateway is handed its sockets, waits for its turn, and hands the sockets out again.

A supervisor that was started anew asks a gateway for them, over a Unix socket in the fleet's own folder, by
SCM_RIGHTS.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

from stoker.system.http1 import HttpServer

LISTEN, GENERATION = "STOKER_LISTEN", "STOKER_GENERATION"  # of a process' environment
MOST = 32  # sockets of one endpoint
ASK_SECONDS = 1.0


def handed() -> list[socket.socket]:
    """The sockets that this process was started with; none where it binds its own."""
    numbers = [int(part) for part in os.environ.get(LISTEN, "").split(",") if part]
    return [socket.socket(fileno=number) for number in numbers]


def generation() -> int:
    """Which life of the gateway this process is."""
    return int(os.environ.get(GENERATION, "0"))


def seen_file(folder: Path, life: int) -> Path:
    """Where that gateway reports."""
    return folder / f"gateway.seen.{life}.json"


class Turn:
    """A gateway's turn to answer: one of an address has it, the next gets it when that one lets go or
    ends."""

    def __init__(self, folder: Path, port: int) -> None:
        self._path = folder / f"gateway.{port}.lock"
        self._file: int | None = None

    async def mine(self) -> None:
        """Waits until it is this process' turn: a thread of its own waits in the kernel. Raises: OSError."""
        self._file = file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        loop, had = asyncio.get_running_loop(), asyncio.Event()

        def wait() -> None:
            with contextlib.suppress(OSError, RuntimeError):  # let go, or the loop has ended, meanwhile
                fcntl.flock(file, fcntl.LOCK_EX)
                loop.call_soon_threadsafe(had.set)

        threading.Thread(target=wait, daemon=True).start()
        await had.wait()

    def over(self) -> None:
        """Lets the next one answer."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def hand_out(folder: Path, life: int, sockets: list[socket.socket]) -> None:
    """Gives the listening sockets to whoever asks in the fleet's private folder, for as long as this process
    lives."""
    name = f"gateway.{life}.sock"
    with contextlib.suppress(OSError), _in(folder):  # a Unix socket's path is short, a folder's may be long
        Path(name).unlink(missing_ok=True)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        door.setblocking(False)
        door.bind(name)
        os.chmod(name, 0o600)
        door.listen(4)
        asyncio.get_running_loop().add_reader(door, _give, door, sockets)


def _give(door: socket.socket, sockets: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        asking, _ = door.accept()
        with asking:
            socket.send_fds(asking, [b"sockets"], [one.fileno() for one in sockets])


def ask(folder: Path, life: int) -> list[socket.socket]:
    """The sockets of a running gateway; none where it does not answer."""
    with contextlib.suppress(OSError), _in(folder), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(ASK_SECONDS)
        door.connect(f"gateway.{life}.sock")
        _, numbers, _, _ = socket.recv_fds(door, 16, MOST)
        for number in numbers:
            os.set_inheritable(number, False)
        return [socket.socket(fileno=number) for number in numbers]
    return []


@contextlib.contextmanager
def _in(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class Handed:
    """The way in of a gateway beside a local fleet: sockets that it was handed, when it is its turn."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._sockets = handed()
        self._turn = Turn(folder, port)

    async def open(self, server: HttpServer) -> None:
        """Waits for the turn, then accepts. Raises: OSError."""
        hand_out(self._folder, generation(), self._sockets)
        await self._turn.mine()
        await server.accept(self._sockets)

    def close(self) -> None:
        """Lets the next one accept; the server has stopped to."""
        self._turn.over()
