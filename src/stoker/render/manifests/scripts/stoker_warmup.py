"""The first requests of an engine, before it takes its clients': one of each kind that they send, through the
same API.

What runs for the first time is slow and may freeze everything else meanwhile (a request for logprobs: 19 s
seen). Asked within the API's process, so that no port, key or access log has a part in it. Standard library
only.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

OK = 200
RETRY = 2.0  # seconds until an engine that answered with a 5xx alone is asked again
KEPT = 1 << 20  # bytes of an answer that are read
Message = MutableMapping[str, Any]
Request = tuple[str, dict[str, Any]]

log = logging.getLogger("uvicorn.error")


class Caller:
    """Asks an ASGI app in its own process. within: the application object, as its routes know it."""

    def __init__(self, app: Callable[..., Awaitable[None]], within: Any) -> None:
        self._app, self._within = app, within
        key = os.environ.get("VLLM_API_KEY")
        self._key = [(b"authorization", b"Bearer " + key.encode())] if key else []

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """Status and body; GET without a body to send. Status 0 where the app fails without an answer."""
        data = b"" if body is None else json.dumps(body).encode()
        sent, status, parts = False, 0, bytearray()

        async def receive() -> Message:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()  # this client never leaves
            sent = True
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            if len(parts) < KEPT:
                parts.extend(message.get("body", b""))

        try:
            await self._app(self._scope(path, data, "GET" if body is None else "POST"), receive, send)
        except Exception as problem:
            log.warning("stoker: %s failed: %s", path, problem)
        return status, bytes(parts)

    def _scope(self, path: str, data: bytes, method: str) -> Message:
        headers = [
            (b"host", b"localhost"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(data)),
        ]
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [*headers, *self._key],
            "root_path": getattr(self._within, "root_path", None) or "",
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
            "app": self._within,
            "state": {},
        }


def kinds(model: str) -> list[Request]:
    """What clients send; an engine answers 4xx where it has no such route, chat template or logprobs."""
    chat = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "stream": True}
    text = {"model": model, "prompt": "Hi", "max_tokens": 2, "stream": True}
    pair = {"model": model, "input": "Hi"}
    return [
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", {**chat, "logprobs": True, "top_logprobs": 5}),
        ("/v1/chat/completions", {**chat, "response_format": {"type": "json_object"}}),
        ("/v1/completions", text),
        ("/v1/completions", {**text, "logprobs": 5}),
        ("/v1/embeddings", pair),
        ("/pooling", pair),
        ("/classify", pair),
        ("/score", {"model": model, "text_1": "Hi", "text_2": "Hi"}),
    ]


async def warm_up(caller: Caller) -> Request | None:
    """Returns once every kind was answered for every served name: the canary, the smallest request that was
    served.

    4xx counts as answered. An engine whose answers are 5xx alone is asked again, for ever: it never gets
    ready. (What is raised instead of an answer is logged and counts as answered: it may be this caller's
    fault.)
    """
    began, canary = time.monotonic(), None
    for model in await _names(caller):
        while True:
            answers = [(await caller.ask(*one), one) for one in kinds(model)]
            statuses = [status for (status, _), _ in answers]
            canary = canary or next((_short(one) for (status, _), one in answers if status == OK), None)
            if OK in statuses or max(statuses) < 500:
                break
            log.warning("stoker: %s is not served yet: %s", model, answers[statuses.index(max(statuses))][0])
            await asyncio.sleep(RETRY)
    log.info("stoker: warmed up in %.1f s", time.monotonic() - began)
    return canary


def _short(one: Request) -> Request:
    path, body = one
    return path, {k: v for k, v in body.items() if k != "stream"} | (
        {"max_tokens": 1} if "max_tokens" in body else {}
    )


async def _names(caller: Caller) -> list[str]:
    """The names that are served, adapters too."""
    while True:
        status, body = await caller.ask("/v1/models")
        if status < 500:
            return [str(one["id"]) for one in json.loads(body)["data"]] if status == OK else []
        await asyncio.sleep(RETRY)
