"""The engine under an agent: started, its ranks found by their process names, and stopped with all it
started."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from stoker.system.proc import group_members

GRACE = 10.0
KILLED = 5.0  # seconds that a killed process may take to be gone
# A worker's name once it knows its rank; before that it is `VLLM::Worker` alone.
_RANK = re.compile(r"VLLM::Worker(?=_)(?:_PP(\d+))?(?:_TP(\d+))?")


class Engine:
    """vLLM's processes on this node. They stand in the agent's own process group."""

    def __init__(self, tensor: int) -> None:
        self._tensor = tensor
        self._process: asyncio.subprocess.Process | None = None
        self._seen: dict[int, int] = {}

    async def start(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Starts it; its output is the agent's."""
        self._process = await asyncio.create_subprocess_exec(
            *argv, env={**os.environ, **env}, stdin=asyncio.subprocess.DEVNULL
        )

    @property
    def ended(self) -> int | None:
        """The exit code, once it has ended."""
        return self._process.returncode if self._process else None

    def ranks(self) -> dict[int, int]:
        """The pids of this node's ranks, by rank, as far as their processes are there."""
        found: dict[int, int] = {}
        for pid in _others():
            try:
                match = _RANK.match(" ".join(psutil.Process(pid).cmdline()))
            except psutil.Error:
                continue
            if match:
                found[int(match[1] or 0) * self._tensor + int(match[2] or 0)] = pid
        self._seen |= found
        return found

    def lost(self) -> int | None:
        """A rank that was there and is gone; None where all are there."""
        here = self.ranks()
        return next((rank for rank, pid in self._seen.items() if here.get(rank) != pid), None)

    async def stop(self, grace: float = GRACE) -> None:
        """SIGTERM, and SIGKILL for what is left of it and its children."""
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), grace)
        for pid in _others():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if process is not None:
            await process.wait()
        deadline = time.monotonic() + KILLED
        while _others() and time.monotonic() < deadline:
            await asyncio.sleep(0.02)


def _others() -> list[int]:
    return [pid for pid in group_members(os.getpgrp()) if pid != os.getpid()]


def address_towards(master: str) -> str:
    """This host's address on the way to the master. Raises: OSError, where no way leads there."""
    family = socket.AF_INET6 if ":" in master else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((master, 9))
        return str(probe.getsockname()[0])


def interface_of(address: str) -> str | None:
    """The network interface that has the address."""
    found: dict[str, Any] = psutil.net_if_addrs()
    return next((name for name, entries in found.items() if any(e.address == address for e in entries)), None)
