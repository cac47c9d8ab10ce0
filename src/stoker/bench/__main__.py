"""One process of the load generator: `python -m stoker.bench`, started by `bench.generator` alone.

Standard input: a pickled Job with its length before it, then lines: `start` with the clock's time, `stop`.
Standard output: lines of JSON, see `generator`. Its parent's end is its own.
"""

import asyncio
import json
import os
import pickle
import signal
import struct
import sys
import time
from typing import Any

from stoker.bench.connection import clock
from stoker.bench.job import Job, line
from stoker.bench.sender import Sender
from stoker.system import loop
from stoker.traffic.records import RequestRecord, to_json

TICK = 0.25  # seconds between two reports


class Worker:
    """Runs one job, and writes what becomes of it to a pipe."""

    def __init__(self, job: Job, write: asyncio.WriteTransport) -> None:
        self._write = write
        self._sender = Sender(job, self._record)
        self._lines: list[bytes] = []
        self._done = self._failed = self._tokens = 0
        self._busy = 0.0
        self._cpu, self._wall = time.process_time(), clock()

    def _record(self, record: RequestRecord) -> None:
        self._done += 1
        self._failed += not record.ok
        self._tokens += record.streamed
        self._lines.append(line("record", to_json(record)))

    async def run(self, start: float, commands: asyncio.StreamReader) -> None:
        """From the start to the end, or until told to stop."""
        await asyncio.sleep(max(0.0, start - clock() - 0.05))
        self._cpu, self._wall = time.process_time(), clock()
        sending = asyncio.create_task(self._sender.run(start))
        stopping = asyncio.create_task(self._stopped(commands, sending))
        while not sending.done():
            await asyncio.wait([sending], timeout=TICK)
            self._tell()
        stopping.cancel()
        error = None if sending.cancelled() else sending.exception()
        self._tell()
        self._write.write(line("end", {"error": f"{type(error).__name__}: {error}" if error else ""}))

    async def _stopped(self, commands: asyncio.StreamReader, sending: "asyncio.Task[None]") -> None:
        await commands.readline()  # `stop`, or the end of the parent
        self._sender.stop()
        sending.cancel()

    def _tell(self) -> None:
        cpu, wall = time.process_time(), clock()
        if wall - self._wall > TICK / 2:
            self._busy = (cpu - self._cpu) / (wall - self._wall)
            self._cpu, self._wall = cpu, wall
        told = {
            "done": self._done,
            "failed": self._failed,
            "tokens": self._tokens,
            "running": len(self._sender.running),
            "busy": round(self._busy, 3),
            "cpu": round(cpu, 3),
        }
        self._write.write(b"".join(self._lines) + line("progress", told))
        self._lines.clear()


async def serve() -> None:
    """Reads the job, reports that it is ready, and works from the time it is told."""
    events = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await events.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    write, _ = await events.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(os.dup(1), "wb"))
    (size,) = struct.unpack("!Q", await commands.readexactly(8))
    job: Any = pickle.loads(await commands.readexactly(size))  # noqa: S301  our own parent's, over a pipe
    worker = Worker(job, write)
    write.write(line("ready", os.getpid()))
    told = await commands.readline()
    if told:
        await worker.run(json.loads(told)["start"], commands)
    write.close()
    while write.get_write_buffer_size():
        await asyncio.sleep(0.01)


def main() -> None:
    """Runs until the job is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent tells when to stop
    with asyncio.Runner(loop_factory=loop.factory()) as runner:
        runner.run(serve())


if __name__ == "__main__":
    main()
