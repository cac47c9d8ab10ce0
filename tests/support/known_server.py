"""A server whose latencies are known exactly, and its own log of when it said what: the oracle of load tests.

`KnownServer` starts it, as a process of its own with nothing but the standard library in it. What it says is
`known_stream`'s; the log has the moment (time.monotonic, one clock for all processes of a Linux machine) at
which a request's last byte was read, and each at which an event was given to the socket. A real event loop is
late now and then: what is true of a run stands in the log, not in the plan; `late` is the difference.
"""

import asyncio
import contextlib
import gc
import json
import os
import resource
import select
import selectors
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.known_stream import Step, Timing, Told, Words, plan

MODEL = "known"
BACKLOG = 4096
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)


class KnownServer:
    """A running one, until it is closed.

    core: the one core that it is bound to; there it goes before all others (real-time priority), where this
    user may have that: a benchmark's oracle waits for nobody.
    """

    def __init__(self, timing: Timing | None = None, core: int | None = None) -> None:
        argv = [sys.executable, __file__, (timing or Timing()).to_json(), str(-1 if core is None else core)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def begin(self, timing: Timing) -> None:
        """Other settings, an empty log, and numbers from 0 again."""
        self._ask("/begin", timing.to_json().encode())

    def log(self) -> list[Told]:
        """All streams since the last `begin`, in the order of their requests."""
        rows = json.loads(self._ask("/log"))
        return [Told(**row | {"events": [tuple(event) for event in row["events"]]}) for row in rows]

    def cpu(self) -> float:
        """Seconds of CPU that it has taken so far."""
        return float(self._ask("/cpu"))

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _ask(self, path: str, data: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.url + path, data, timeout=60) as answer:
            return bytes(answer.read())

    def __enter__(self) -> "KnownServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class State:
    """The settings and the log of this process."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.streams: list[Told] = []

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """What is no stream."""
        if path == "/begin" and method == "POST":
            self.timing, self.streams = Timing.from_json(body), []
            return 200, b"{}"
        if path == "/log":
            return 200, json.dumps([_row(one) for one in self.streams]).encode()
        if path == "/cpu":
            return 200, str(time.process_time()).encode()
        if path == "/v1/models":
            model = {"id": MODEL, "object": "model", "max_model_len": 1 << 20, "root": MODEL}
            return 200, json.dumps({"object": "list", "data": [model]}).encode()
        return (200, b"") if path in ("/health", "/ping") else (404, b'{"error": {"message": "Not Found"}}')

    def stream(self, arrived: float, path: str, body: dict[str, Any]) -> tuple[Told, list[Step], Words]:
        """A new stream: its place in the log, what is to be sent, and how it is written."""
        number, chat = len(self.streams), "chat" in path
        tokens = int(body.get("max_completion_tokens") or body.get("max_tokens") or self.timing.tokens)
        usage = bool((body.get("stream_options") or {}).get("include_usage"))
        asked = {name: value for name, value in body.items() if name not in ("messages", "prompt")}
        count, broken = _prompt_tokens(body), self.timing.breaks(number, tokens)
        told = Told(number, path, arrived, asked, count, tokens, broken)
        self.streams.append(told)
        words = Words(number, body.get("model") or MODEL, chat, count, tokens, self.timing.separate_end)
        return told, plan(self.timing, number, tokens, chat, usage), words


def _row(told: Told) -> dict[str, Any]:
    return {name: getattr(told, name) for name in Told.__slots__}


def _prompt_tokens(body: dict[str, Any]) -> int:
    """A word is a token; numbers are tokens themselves."""
    if isinstance(prompt := body.get("prompt"), list):
        return len(prompt)
    texts = [prompt or ""]
    for message in body.get("messages") or ():
        content = message.get("content") or ""
        texts += [content] if isinstance(content, str) else [part.get("text", "") for part in content]
    return sum(len(text.split()) for text in texts)


class Sending:
    """One answer on its way."""

    def __init__(self, transport: asyncio.Transport, told: Told, steps: list[Step], words: Words) -> None:
        self.transport, self.told, self.steps, self.words = transport, told, steps, words
        self.next = 0
        self.last = max(n for n, step in enumerate(steps) if step.kind == "content")
        self.written: dict[tuple[str, int, bool], bytes] = {}
        each = (told.asked.get("stream_options") or {}).get("continuous_usage_stats")
        self.so_far: int | None = 0 if each else None
        self.loop = asyncio.get_running_loop()
        transport.write(STREAM_HEAD)
        self._wait()

    def _wait(self) -> None:
        self.chunk = self._chunk()
        self.timer = self.loop.call_at(self.told.arrived + self.steps[self.next].at, self._send)

    def _chunk(self) -> bytes:
        """The next step's bytes, made before their time has come."""
        step, last = self.steps[self.next], self.next == self.last and not self.told.broken
        if step.kind in ("end", "lost", "stall"):
            return b"0\r\n\r\n"
        key = step.kind, step.tokens, last
        event = self.written.get(key)
        if event is None:
            event = self.written[key] = self.words.event(step, last)
        if self.so_far is not None and step.kind in ("role", "content", "finish"):
            self.so_far += step.tokens
            event = self.words.counted(event, self.so_far)
        return b"%x\r\n%b\r\n" % (len(event), event)

    def _send(self) -> None:
        step = self.steps[self.next]
        if step.kind in ("lost", "stall"):
            if step.kind == "lost":
                self.transport.abort()
            return
        if step.kind != "end":
            self.told.events.append((time.monotonic(), step.kind, step.tokens))
        self.transport.write(self.chunk)
        self.told.held += self.transport.get_write_buffer_size() > 0
        self.next += 1
        if self.next == len(self.steps):
            self.told.ended = True
        else:
            self._wait()

    def stop(self) -> None:
        """The connection is gone."""
        self.timer.cancel()
        self.told.left = not self.told.ended and self.steps[self.next].kind != "lost"


class Connection(asyncio.Protocol):
    """HTTP/1.1 as load generators speak it: bodies with their length, one request after the other."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.buffer = b""
        self.sending: Sending | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self.sending:
            self.sending.stop()

    def data_received(self, data: bytes) -> None:
        arrived = time.monotonic()
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found or len(rest) < (length := _length(head)):
            return
        self.buffer = rest[length:]
        method, path, _version = head.split(b"\r\n", 1)[0].decode().split(" ")
        self._answer(arrived, method, path.split("?")[0], rest[:length])

    def _answer(self, arrived: float, method: str, path: str, body: bytes) -> None:
        if method == "POST" and path in ("/v1/chat/completions", "/v1/completions"):
            told, steps, words = self.state.stream(arrived, path, json.loads(body))
            if steps:
                self.sending = Sending(self.transport, told, steps, words)
                return
            told.ended, status, text = True, int(told.broken or 500), b'{"error": {"message": "refused"}}'
        else:
            status, text = self.state.answer(method, path, body)
        head = b"HTTP/1.1 %d Known\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % (status, len(text)) + text)


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(line[15:]) for line in lines if line.startswith(b"content-length:")), 0)


class Exact(selectors.EpollSelector if sys.platform == "linux" else selectors.DefaultSelector):  # type: ignore[misc]
    """Waits for microseconds: epoll's own wait is rounded up to whole milliseconds."""

    def select(self, timeout: float | None = None) -> Any:
        if timeout and timeout > 0:
            select.select([self.fileno()], [], [], timeout)
            timeout = 0
        return super().select(timeout)


async def _serve(state: State) -> None:
    """Serves until its parent closes its standard input, or ends."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0, backlog=BACKLOG)
    loop.add_reader(0, over.set)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()


def _undisturbed(core: int) -> None:
    """All files that it may have, one core first of all where it is told so, no pauses of the garbage
    collector."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if core >= 0 and sys.platform == "linux":
        os.sched_setaffinity(0, {core})
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    gc.disable()


if __name__ == "__main__":
    _undisturbed(int(sys.argv[2]))
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(Exact())) as runner:
        runner.run(_serve(State(Timing.from_json(sys.argv[1]))))
