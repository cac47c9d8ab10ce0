"""Sends the contract's requests, and keeps what comes back."""

import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from stoker.engine.openai import SseReader
from tests.support.contract import Case


@dataclass(frozen=True, slots=True)
class Said:
    """What came back: `body` is JSON or text, `events` the data of a stream's events, JSON or text."""

    status: int
    headers: dict[str, str]
    body: Any = None
    events: tuple[Any, ...] | None = None

    def json(self) -> dict[str, Any]:
        """As it is recorded."""
        kept = {"status": self.status, "headers": self.headers}
        return {**kept, "body": self.body} if self.events is None else {**kept, "events": list(self.events)}


def ask(port: int, case: Case, timeout: float = 300) -> Said:
    """Sends a case's request to an engine on loopback."""
    raw = isinstance(case.body, bytes)
    data = case.body if raw else None if case.body is None else json.dumps(case.body).encode()
    headers = dict(case.headers) or ({"content-type": "application/json"} if data is not None else {})
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)) as connection:
        connection.request(case.method, case.path, data, {k: v for k, v in headers.items() if v})
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        kept = {name: told[name] for name in _KEPT if name in told}
        return _said(answer.status, kept, answer.read())


_KEPT = ("allow", "content-type", "location", "x-request-id", "www-authenticate")


def _said(status: int, headers: dict[str, str], data: bytes) -> Said:
    if headers.get("content-type", "").startswith("text/event-stream"):
        found = SseReader().feed(data)
        named = [(event.event, event.data if event.done else json.loads(event.data)) for event in found]
        return Said(status, headers, None, tuple(d if n == "message" else [n, d] for n, d in named))
    text = data.decode("utf-8", "replace")
    try:
        return Said(status, headers, json.loads(text))
    except ValueError:
        return Said(status, headers, text)
