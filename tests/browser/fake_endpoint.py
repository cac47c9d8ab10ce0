"""A tiny OpenAI-compatible endpoint that does as it is told: streams words slowly, refuses, breaks off."""

import json
import select
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
NO_TEMPLATE = (
    "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat "
    "template if the tokenizer does not define one."
)


@dataclass
class Orders:
    """What the fake is to do next, and what it saw."""

    words: list[str] = field(default_factory=lambda: list(WORDS))
    every: float = 0.02
    refuse: tuple[int, str, dict[str, str]] | None = None
    cut_after: int | None = None
    template: bool = True
    healthy: bool = True
    asked: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    left: list[float] = field(default_factory=list)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The bodies of all requests so far."""
        return [body for _, body, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: "FakeEndpoint"

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        """`/health`."""
        if self.server.orders.healthy:
            self._json(200, {})
        else:
            self._json(503, {"error": {"message": "no replica is ready"}})

    def do_POST(self) -> None:
        """A chat or a completion."""
        orders = self.server.orders
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        orders.asked.append((self.path, body, self.headers.get("authorization", "")))
        if orders.refuse:
            status, message, headers = orders.refuse
            self._json(status, {"error": {"message": message, "type": "x", "code": status}}, headers)
        elif self.path == "/v1/chat/completions" and not orders.template:
            self._json(400, {"error": {"message": NO_TEMPLATE, "type": "BadRequestError", "code": 400}})
        else:
            self._stream(orders)

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {**(headers or {}), "content-length": str(len(data))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, orders: Orders) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for number, word in enumerate(orders.words):
                if number == orders.cut_after:
                    return
                self._event(word + " ")
                if select.select([self.connection], [], [], orders.every)[0]:
                    # a client that waits for an answer says nothing, unless it leaves
                    raise ConnectionResetError
            self._event("", "stop")
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            orders.left.append(time.monotonic())

    def _event(self, text: str, finish: str | None = None) -> None:
        part = {"delta": {"content": text}} if "chat" in self.path else {"text": text}
        event = {"choices": [{"index": 0, **part, "finish_reason": finish}]}
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()


class FakeEndpoint(ThreadingHTTPServer):
    """The server; `orders` may be replaced while it runs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.orders = Orders()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}"
