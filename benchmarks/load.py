"""Streams sent by one process, with little cost of its own: what the benchmarks share."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from stoker.system.pool import Pool
from stoker.system.upstream import Headers, request_bytes


@dataclass
class Stream:
    """One answer: seconds to its headers and to its first event, and the time of each later chunk."""

    began: float
    ttft: float | None = None
    ended: float | None = None
    events: int = 0
    tokens: int = 0
    error: str | None = None
    late: list[float] = field(default_factory=list)
    _last: float = 0.0
    _done: "asyncio.Future[None] | None" = None

    def head(self, status: int, headers: Headers) -> None:
        if status != 200:
            self.error = f"status {status}"

    def data(self, chunk: bytes) -> None:
        now = time.perf_counter()
        if self.ttft is None:
            self.ttft = now - self.began
        else:
            self.late.append(now - self._last)
        self._last = now
        self.events += chunk.count(b"\n\n")
        if b'"usage"' in chunk and (at := chunk.find(b'"completion_tokens":')) >= 0:
            digits = chunk[at + 20 : at + 30].strip().split(b",")[0].split(b"}")[0]
            self.tokens = int(digits)
        if b'"error"' in chunk:
            self.error = chunk.decode("utf-8", "replace")[:200]

    def complete(self, last: bytes = b"") -> None:
        if last:
            self.data(last)
        self.ended = time.perf_counter()
        if self._done and not self._done.done():
            self._done.set_result(None)

    def lost(self, why: str) -> None:
        self.error = why
        self.complete()


async def stream(pool: Pool, body: dict[str, Any], headers: Headers) -> Stream:
    """Sends one chat request and reads its stream to the end."""
    sent = json.dumps(body).encode()
    head = [(b"host", pool.host_header), (b"content-type", b"application/json"), *headers]
    connection = await pool.connection()
    sink = Stream(time.perf_counter(), _done=asyncio.get_running_loop().create_future())
    connection.send(request_bytes("POST", b"/v1/chat/completions", head, sent), sink)
    assert sink._done is not None
    await sink._done
    return sink


async def together(port: int, count: int, body: dict[str, Any], key: str = "") -> list[Stream]:
    """So many streams at once."""
    pool = Pool("127.0.0.1", port, patience=60.0)
    headers = [(b"authorization", b"Bearer " + key.encode())] if key else []
    done = await asyncio.gather(*(stream(pool, body, headers) for _ in range(count)))
    pool.close()
    return list(done)


def run(work: Any) -> Any:
    """Runs a coroutine on the fastest loop there is."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def quantile(values: list[float], q: float) -> float:
    """A quantile of the values themselves."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def process(argv: list[str], **env: str) -> Iterator[psutil.Process]:
    """A program that is ended at the end."""
    import os

    with tempfile.TemporaryFile() as log:
        started = subprocess.Popen(argv, stdout=log, stderr=log, env={**os.environ, **env})
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()
            try:
                started.wait(20)
            except subprocess.TimeoutExpired:
                started.kill()


def answers(port: int, path: str = "/health", seconds: float = 60.0) -> None:
    """Waits until a port answers 200."""
    import httpx2

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            if httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=2).status_code == 200:
                return
        time.sleep(0.02)
    raise TimeoutError(f"port {port} does not answer")


@contextlib.contextmanager
def gateway(engine_ports: list[int], key: str = "k") -> Iterator[tuple[int, psutil.Process]]:
    """Stoker's gateway in front of engines that run already."""
    from stoker.catalog import vllm
    from stoker.targets.gateway.config import Route, Routes

    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "engine.key").write_text(key)
        Routes(1, tuple(Route(str(i), "127.0.0.1", p) for i, p in enumerate(engine_ports))).write(
            folder / "routes.json"
        )
        settings = {
            "host": "127.0.0.1",
            "port": port,
            "queue_timeout": 30.0,
            "cors": [],
            "hosts": [],
            "key_file": None,
            "model": "m",
            "inference_routes": sorted(vllm.release(vllm.DEFAULT).inference_routes),
            "engine_key_file": str(folder / "engine.key"),
            "routes_file": str(folder / "routes.json"),
            "seen_file": str(folder / "seen.json"),
        }
        (folder / "gateway.json").write_text(json.dumps(settings))
        with process(
            [sys.executable, "-m", "stoker.targets.gateway", str(folder / "gateway.json")]
        ) as started:
            answers(port)
            yield port, started


def raise_open_files() -> None:
    """A thousand streams take several thousand files."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
