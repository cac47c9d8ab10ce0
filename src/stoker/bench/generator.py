"""Generator: the processes that send a workload, started together, heard while they work, ended in order."""

import asyncio
import json
import pickle
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stoker.bench.connection import clock
from stoker.bench.job import Job
from stoker.errors import EnvironmentFailed
from stoker.system.clock import now

LINE = 64 << 20  # bytes of a line between processes: a record of a million tokens
LEAD = 0.2  # seconds between the order to start and the start
READY_SECONDS = 60.0
END_SECONDS = 20.0  # that a process may take to tell its last records


@dataclass(slots=True)
class Progress:
    """What one process has done so far. busy: share of a core in the last quarter of a second."""

    done: int = 0
    failed: int = 0
    tokens: int = 0
    running: int = 0
    busy: float = 0.0
    cpu: float = 0.0
    busiest: float = 0.0

    def take(self, told: dict[str, Any]) -> None:
        """What it tells."""
        for name, value in told.items():
            setattr(self, name, value)
        self.busiest = max(self.busiest, self.busy)


@dataclass(slots=True)
class Sending:
    """A workload being sent. wall and clock: when it began; interrupted: whether it was stopped."""

    wall: float = 0.0
    clock: float = 0.0
    interrupted: bool = False
    errors: list[str] = field(default_factory=list)
    workers: list[Progress] = field(default_factory=list)

    @property
    def elapsed(self) -> float:
        """Seconds since the start; 0 before it."""
        return max(0.0, clock() - self.clock) if self.clock else 0.0


Keep = Callable[[bytes], None]
RECORD = b'{"record":'


class Generator:
    """Sends a job with several processes; `keep` takes each record as its line of JSON.

    It is read when the test is over: reading takes as long as sending, and may be on the same core.
    """

    def __init__(self, job: Job, workers: int, keep: Keep) -> None:
        self._job, self._keep = job, keep
        self.sending = Sending(workers=[Progress() for _ in range(workers)])
        self._processes: list[Process] = []

    async def run(self) -> Sending:
        """From the start to the last record. Raises: EnvironmentFailed, where a process cannot start."""
        try:
            await self._start()
            await asyncio.gather(*(self._hear(number) for number in range(len(self._processes))))
        finally:
            await self._end()
        return self.sending

    async def _start(self) -> None:
        count = len(self.sending.workers)
        for number in range(count):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "stoker.bench", stdin=PIPE, stdout=PIPE, limit=LINE
            )
            self._processes.append(process)
            job = pickle.dumps(self._job.of(number, count))
            self._tell(process, struct.pack("!Q", len(job)) + job)
        try:
            async with asyncio.timeout(READY_SECONDS):
                await asyncio.gather(*(self._ready(process) for process in self._processes))
        except TimeoutError:
            raise _failed(f"it was not ready within {READY_SECONDS:g} s") from None
        self.sending.clock, self.sending.wall = clock() + LEAD, now() + LEAD
        for process in self._processes:
            self._tell(process, json.dumps({"start": self.sending.clock}).encode() + b"\n")

    async def _ready(self, process: Process) -> None:
        assert process.stdout is not None
        if not await process.stdout.readline():
            raise _failed("it ended before it began; what it said stands above")

    def stop(self) -> None:
        """Stops sending: what runs is given up, and what was measured is kept."""
        self.sending.interrupted = True
        for process in self._processes:
            self._tell(process, b"stop\n")

    def _tell(self, process: Process, data: bytes) -> None:
        assert process.stdin is not None
        if process.returncode is None and not process.stdin.is_closing():
            process.stdin.write(data)

    async def _hear(self, number: int) -> None:
        """What a process says until its end."""
        process = self._processes[number]
        assert process.stdout is not None
        while data := await process.stdout.readline():
            if data.startswith(RECORD):
                self._keep(data[len(RECORD) : -2])
                continue
            told = json.loads(data)
            if "progress" in told:
                self.sending.workers[number].take(told["progress"])
            elif told.get("end", {}).get("error"):
                self.sending.errors.append(told["end"]["error"])
        if await process.wait():
            self.sending.errors.append(f"process {number + 1} ended with status {process.returncode}")

    async def _end(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                assert process.stdin is not None
                process.stdin.close()
                try:
                    await asyncio.wait_for(process.wait(), END_SECONDS)
                except TimeoutError:
                    process.kill()
                    await process.wait()


def _failed(why: str) -> EnvironmentFailed:
    return EnvironmentFailed("a process of the load generator did not start", why=why, fix="stoker doctor")
