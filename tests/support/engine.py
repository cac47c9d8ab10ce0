"""The simulated engine as a process, and how it is asked."""

import contextlib
import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stoker.engine.openai import SseReader

KEY = "k-123"
LIMIT = ("--max-model-len", "100")
CHAT = {"messages": [{"role": "user", "content": "one two three"}]}


class Engine:
    """A running process, its log and its port."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        key: str = "",
        serves: bool = True,
        env: dict[str, str] | None = None,
        **told: Any,
    ) -> None:
        self.log = folder / "engine.log"
        self.connections: list[http.client.HTTPConnection] = []
        self.answers: list[http.client.HTTPResponse] = []
        words = ["-m", "stoker.targets.simulated", "demo", "--host", "127.0.0.1", "--port", "0", *options]
        told = {"start_seconds": 0, "ttft": 0.001, "itl": 0.001} | told
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words, "--simulate", json.dumps(told)],
                stderr=log,
                env={"VLLM_API_KEY": key, "PYTHONPATH": ":".join(sys.path), **(env or {})},
            )
        if serves:
            wait(lambda: "Application startup complete" in self.log.read_text())
            found = re.search(r"Starting vLLM server on http://127\.0\.0\.1:(\d+)\n", self.log.read_text())
            assert found
            self.port = int(found[1])

    def connection(self, timeout: float = 5) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def send(
        self, method: str, path: str, body: Any = None, timeout: float = 5, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        with contextlib.closing(self.connection(timeout)) as connection:
            data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            connection.request(method, path, data, {"content-type": "application/json", **named})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def post(self, path: str, body: Any, x_request_id: str = "") -> Any:
        named = {"x_request_id": x_request_id} if x_request_id else {}
        status, _, data = self.send("POST", path, body, timeout=30, **named)
        assert status == 200, data
        return json.loads(data)

    def stream(self, path: str, body: dict[str, Any]) -> Any:
        status, headers, data = self.send("POST", path, {**body, "stream": True})
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        return SseReader().feed(data)

    def metric(self, name: str, **labels: str) -> float:
        page = self.send("GET", "/metrics")[2].decode()
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in page.splitlines() if line.startswith(f"vllm:{name}{{")]
        return sum(float(line.split()[-1]) for line in lines if all(text in line for text in wanted))

    def open_stream(self, **body: Any) -> http.client.HTTPResponse:
        connection = self.connection()
        self.connections.append(connection)
        data = json.dumps({**CHAT, **body, "stream": True})
        connection.request("POST", "/v1/chat/completions", data, {"content-type": "application/json"})
        self.answers.append(connection.getresponse())
        return self.answers[-1]

    def close(self) -> None:
        """Kills the process and closes what talks to it."""
        self.process.kill()
        self.process.wait()
        for answer in self.answers:
            answer.close()
        for connection in self.connections:
            connection.close()

    def ended(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)


def wait(done: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


Start = Callable[..., Engine]


@contextlib.contextmanager
def starter(folder: Path) -> Iterator[Start]:
    engines: list[Engine] = []

    def start(*options: str, **more: Any) -> Engine:
        engines.append(Engine(folder, *options, **more))
        return engines[-1]

    try:
        yield start
    finally:
        for engine in engines:
            engine.close()


def gauges(engine: Engine) -> tuple[float, float]:
    """How many requests run, and how many wait."""
    return engine.metric("num_requests_running"), engine.metric("num_requests_waiting")
