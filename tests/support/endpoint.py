"""A gateway and simulated engines behind it, as processes, without a supervisor."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from stoker.catalog import vllm
from stoker.targets.gateway.config import Route, Routes, Seen
from tests.conftest import free_port

GUIDE = {
    "model": "m",
    "messages": [{"role": "user", "content": "I'm looking for comfortable cycling shorts"}],
    "temperature": 0.70,
    "top_p": 1.0,
    "top_k": 1.0,
    "max_tokens": 256,
}


class Endpoint:
    """A gateway with engines behind it, without a supervisor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.engines: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._routes = Routes()
        (folder / "engine.key").write_text("engine-key")

    def start(self, files: int = 0, **settings: Any) -> None:
        """Starts the gateway; `files` is how many it may have open, where that is to be few."""
        raw = {
            "host": "127.0.0.1",
            "port": self.port,
            "queue_timeout": 5.0,
            "cors": [],
            "hosts": ["localhost", "127.0.0.1"],
            "inference_routes": sorted(vllm.release(vllm.DEFAULT).inference_routes),
            "key_file": None,
            "engine_key_file": str(self.folder / "engine.key"),
            "routes_file": str(self.folder / "routes.json"),
            "seen_file": str(self.folder / "seen.json"),
            "model": "m",
            **settings,
        }
        (self.folder / "gateway.json").write_text(json.dumps(raw))
        argv = [sys.executable, "-m", "stoker.targets.gateway", str(self.folder / "gateway.json")]
        if files:
            argv = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh", *argv]
        log = (self.folder / "gateway.log").open("wb")
        self.process = subprocess.Popen(argv, stdout=log, stderr=log)
        log.close()
        until(lambda: self._listens(), 60)

    def _listens(self) -> bool:
        try:
            httpx2.get(f"{self.url}/health", timeout=1)
        except httpx2.TransportError:
            return False
        return True

    def engine(self, name: str, *, wait: bool = True, **simulate: Any) -> None:
        """Starts an engine and routes to it."""
        port = free_port()
        (self.folder / f"{name}.sim").write_text(json.dumps({"start_seconds": 0.0, **simulate}))
        argv = [
            sys.executable,
            "-m",
            "stoker.targets.simulated",
            "m",
            "--port",
            str(port),
            "--max-num-seqs",
            "2048",
        ]
        argv += ["--simulate-file", str(self.folder / f"{name}.sim")]
        log = (self.folder / f"{name}.log").open("wb")
        env = {**os.environ, "VLLM_API_KEY": "engine-key", "VLLM_SERVER_DEV_MODE": "1"}
        self.engines[name] = subprocess.Popen(argv, stdout=log, stderr=log, env=env), port
        log.close()
        until(lambda: self._up(port), 60)
        self.route()
        if wait:
            until(lambda: name in self.ready(), 30)

    def _up(self, port: int) -> bool:
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == 200
        except httpx2.TransportError:
            return False

    def simulate(self, name: str, **simulate: Any) -> None:
        """Changes how an engine behaves."""
        (self.folder / f"{name}.sim").write_text(json.dumps(simulate))
        time.sleep(0.15)

    def route(self, leaving: tuple[str, ...] = ()) -> None:
        """Writes the routes as the supervisor would."""
        routes = tuple(
            Route(name, "127.0.0.1", port, name in leaving) for name, (_, port) in self.engines.items()
        )
        self._routes = Routes(self._routes.revision + 1, routes, "" if routes else "the fleet has no replica")
        self._routes.write(self.folder / "routes.json")

    def ready(self) -> list[str]:
        """What the gateway has in rotation."""
        seen = Seen.read(self.folder / "seen.json")
        return list(seen.ready) if seen else []

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        self.engines[name][0].send_signal(number)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def chat(self, **fields: Any) -> httpx2.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": "a b c"}], **fields}
        return httpx2.post(f"{self.url}/v1/chat/completions", json=body, timeout=60)

    def close(self) -> None:
        for process in [*(engine for engine, _ in self.engines.values()), self.process]:
            process.kill()
            process.wait()


def until(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def in_flight(endpoint: Endpoint) -> float:
    """Requests at the replicas by the gateway's own count: an engine's gauge moves with its first token."""
    page = httpx2.get(f"{endpoint.url}/metrics").text
    lines = [line for line in page.splitlines() if line.startswith("stoker_gateway_requests_in_flight{")]
    return sum(float(line.split()[-1]) for line in lines)


def running(endpoint: Endpoint) -> float:
    page = httpx2.get(f"{endpoint.url}/metrics").text
    return sum(
        float(line.split()[-1]) for line in page.splitlines() if line.startswith("vllm:num_requests_running{")
    )
