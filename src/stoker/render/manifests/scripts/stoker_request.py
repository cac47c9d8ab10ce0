"""One request on its way through the engine's API, and what its client is told when the pod leaves before it
is done."""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

ENDING = 5.0  # seconds for the last words to a client that reads slowly
PATIENCE = 1.0  # seconds until an app that was told that its client has left is stopped
LEAVING = "this replica is leaving"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def error(path: str, message: str, kind: str = "service_unavailable", status: int = 503) -> bytes:
    """An error object as the API of that path writes it."""
    if path.startswith("/v1/messages"):
        return json.dumps({"type": "error", "error": {"type": "api_error", "message": message}}).encode()
    return json.dumps({"error": {"message": message, "type": kind, "param": None, "code": status}}).encode()


def cut(path: str, message: str) -> bytes:
    """The last events of a stream that ends before its time."""
    if path.startswith("/v1/responses"):
        body = {"type": "error", "code": "server_error", "message": message, "param": None}
        return b"event: error\ndata: %b\n\n" % json.dumps(body).encode()
    if path.startswith("/v1/messages"):
        return b"event: error\ndata: %b\n\n" % error(path, message)
    return b"data: %b\n\ndata: [DONE]\n\n" % error(path, message)


async def refuse(send: Send, path: str, why: str) -> None:
    """503 in the API's form, with the time after which to ask again."""
    body = error(path, why)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"retry-after", b"1"),
    ]
    await send(
        {"type": "http.response.start", "status": 503, "headers": [*headers, (b"connection", b"close")]}
    )
    await send({"type": "http.response.body", "body": body})


class Watched:
    """One request on its way through the engine's API; its answer begins with its first event, not before."""

    def __init__(self, path: str, scope: Message, receive: Receive, send: Send, own: bool = False) -> None:
        self.own = own  # a warm-up or a canary
        self.since: float | None = (
            None  # since when the engine owes something: not while the client sends or reads
        )
        self.last = 0.0  # when something last came
        self._path, self._scope, self._receive, self._send = path, scope, receive, send
        self._task = asyncio.current_task()
        self._start: Message | None = None
        self._asked = self._shown = self._whole = self._ended = False  # the request, and its answer
        self._gone: asyncio.Future[Message] | None = None  # done when the client has left
        self._stop: asyncio.TimerHandle | None = None

    async def run(self, app: App) -> None:
        """Returns when the client has its answer, or has left, or was told that the pod leaves."""
        try:
            await app(self._scope, self.receive, self.send)
        except (Exception, asyncio.CancelledError):
            if not self._ended:
                raise
            if self._task is not None:
                self._task.uncancel()
        finally:
            for one in (self._stop, self._gone):
                if one is not None:
                    one.cancel()
        if self._ended and not self._whole:
            self.since = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ENDING):
                    await self._last_error()

    async def receive(self) -> Message:
        """What the client sends; with the last of its body the engine's turn begins, and all that is left is
        to go away."""
        if self._asked:
            return await self._departure()
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            self._asked, self.since = True, time.monotonic()
        return message

    async def _departure(self) -> Message:
        if self._gone is None:
            self._gone = asyncio.ensure_future(self._receive())
        if not self._gone.done() and not self._ended:
            await asyncio.wait([self._gone])
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """What the engine answers. While a client takes its time to read, the engine owes nothing."""
        if self._ended:
            return
        if message["type"] == "http.response.start":
            self._start = message
            return
        self.since = None
        if self._start is not None and not self._shown:
            self._shown = True
            await self._send(self._start)
        await self._send(message)
        self.last = time.monotonic()
        self._whole = message["type"] == "http.response.body" and not message.get("more_body")
        self.since = None if self._whole or self._scope["type"] == "websocket" else self.last

    def end(self) -> None:
        """Takes it from the engine, which aborts it as if its client had left; the client is told by `run`.

        (Cancelled at once, vLLM would go on with what is not streamed.)
        """
        self._ended = True
        if self._gone is not None:
            self._gone.cancel()
        if self._task is not None:
            self._stop = asyncio.get_running_loop().call_later(PATIENCE, self._task.cancel)

    async def _last_error(self) -> None:
        if self._scope["type"] == "websocket":
            await self._send({"type": "websocket.close", "code": 1012})
        elif self._start is None or not self._shown:
            await refuse(self._send, self._path, f"{LEAVING}: send the request again")
        elif any(
            name.lower() == b"content-type" and b"event-stream" in value
            for name, value in self._start["headers"]
        ):
            body = cut(self._path, f"{LEAVING}, and its time to drain is over; the answer is not whole")
            await self._send({"type": "http.response.body", "body": body})
