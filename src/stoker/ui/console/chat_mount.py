"""The door to the chat: 'starting' until the endpoint is healthy and Gradio is loaded, then Gradio itself."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send

from stoker.system import installation

POLL_SECONDS = 0.5
WAITING = (Path(__file__).parent / "static" / "waiting.html").read_text(encoding="utf-8")
# What Gradio offers besides a chat: files, saved states and fetching from other hosts.
CLOSED = (
    "upload",
    "upload_progress",
    "file",
    "file=",
    "deep_link",
    "proxy=",
    "stream",
    "dev",
    "run-history",
    "runs",
    "vibe",
)

log = logging.getLogger("stoker.page")


class ChatMount:
    """An ASGI app for `/chat` and below. `state` and `why` say how far it is."""

    def __init__(self, unhealthy: Callable[[], Awaitable[str]], load: Callable[[], Starlette]) -> None:
        self.state: Literal["starting", "ready", "failed"] = "starting"
        self.why = "waiting for the endpoint"
        self._unhealthy = unhealthy
        self._load = load
        self._chat: Starlette | None = None

    async def keep(self) -> None:
        """Waits, loads, and keeps the chat open until cancelled."""
        while why := await self._unhealthy():
            self.why = f"waiting for the endpoint: {why}"
            await asyncio.sleep(POLL_SECONDS)
        self.why = "loading the page"
        try:
            chat = await in_thread(self._load)
            async with chat.router.lifespan_context(chat):
                self._chat, self.state, self.why = chat, "ready", ""
                await asyncio.Event().wait()
        except Exception as error:
            self.state, self.why = "failed", _reason(error)
            log.error("the chat page failed: %s", self.why)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        below = scope["path"].removeprefix("/chat/gradio_api/")
        if foreign(scope.get("method", ""), Headers(scope=scope)):
            await HTMLResponse("A page of another site may not chat here", 403)(scope, receive, send)
        elif below.startswith(CLOSED):
            await HTMLResponse("Not found", 404)(scope, receive, send)
        elif self._chat is not None:
            await self._chat(scope, receive, send)
        else:
            await HTMLResponse(WAITING, headers={"cache-control": "no-store"})(scope, receive, send)


def foreign(method: str, headers: Headers) -> bool:
    """Whether a page of another site asks: its visitor did not, and Gradio would let it read the answer.

    Browsers say so themselves over HTTPS and to this machine (Sec-Fetch-Site); elsewhere the Origin is
    compared. A link to the chat may be followed from anywhere.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        followed = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        return site in ("cross-site", "same-site") and not followed
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def in_thread(work: Callable[[], Any]) -> "asyncio.Future[Any]":
    """Runs `work` in a thread that does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def tell(setter: Callable[[Any], None], value: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(lambda: None if future.done() else setter(value))

    def run() -> None:
        try:
            tell(future.set_result, work())
        except Exception as error:
            tell(future.set_exception, error)

    threading.Thread(target=run, name="load-chat", daemon=True).start()
    return future


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "gradio":
        return f"Gradio is not installed: {installation.fix('local')}"
    return f"{type(error).__name__}: {error}"
