"""The web app: the start page at once, the chat at `/chat` once the fleet is ready and Gradio is loaded."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stoker.ui.console.settings import Settings

LOOK_SECONDS = 0.5
HOSTS = ["localhost", "127.0.0.1", "[::1]", "::1"]

log = logging.getLogger("stoker.console")


class Console:
    """An ASGI application that hands `/chat` to Gradio's when that is there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._chat: ASGIApp | None = None
        self._why = ""
        hosts = [Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS)] if settings.loopback else []
        routes = [
            Route("/", self._start),
            Route("/health", self._health),
            Route("/fleet", self._fleet),
            Route("/chat", self._waiting),
            Route("/chat/{rest:path}", self._waiting),
        ]
        self._own = Starlette(routes=routes, middleware=hosts, lifespan=self._lifespan)
        self._guarded: ASGIApp = TrustedHostMiddleware(self._to_chat, allowed_hosts=HOSTS if settings.loopback else ["*"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
        if self._chat is not None and scope["type"] == "http" and scope["path"].startswith("/chat"):
            await self._guarded(scope, receive, send)
        else:
            await self._own(scope, receive, send)

    async def _to_chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self._chat is not None
        if scope["path"] == "/chat":
            await RedirectResponse("/chat/")(scope, receive, send)
        else:
            await self._chat(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            loading = asyncio.create_task(self._load(stack))
            yield
            loading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loading

    async def _load(self, stack: contextlib.AsyncExitStack) -> None:
        """Waits until the endpoint answers, then loads Gradio beside everything else."""
        try:
            while not await self._endpoint_ready():
                await asyncio.sleep(LOOK_SECONDS)
            app = await asyncio.to_thread(_import_chat, self._settings)
            await stack.enter_async_context(app.router.lifespan_context(app))
            self._chat = app
        except Exception as error:
            self._why = f"{type(error).__name__}: {error}"
            log.exception("the chat page cannot be loaded")

    async def _endpoint_ready(self) -> bool:
        try:
            async with httpx2.AsyncClient(timeout=2.0) as client:
                return (await client.get(f"{self._settings.endpoint}/health")).status_code == 200
        except httpx2.HTTPError:
            return False

    async def _start(self, _: Request) -> HTMLResponse:
        page = files("stoker.ui.console").joinpath("static/index.html").read_text(encoding="utf-8")
        return HTMLResponse(page)

    async def _fleet(self, _: Request) -> JSONResponse:
        ready = await self._endpoint_ready()
        settings = self._settings
        return JSONResponse(
            {"model": settings.model, "endpoint": settings.endpoint, "ready": ready, "chat": self._state(), "key": settings.key is not None}
        )

    def _state(self) -> str:
        return "ready" if self._chat else "failed" if self._why else "starting"

    async def _health(self, _: Request) -> JSONResponse:
        return JSONResponse({"chat": self._state(), "why": self._why})

    async def _waiting(self, _: Request) -> HTMLResponse:
        page = files("stoker.ui.console").joinpath("static/waiting.html").read_text(encoding="utf-8")
        return HTMLResponse(page.replace("{why}", "The chat page could not be loaded; the log says why." if self._why else ""), 503)


def _import_chat(settings: Settings) -> Any:
    from stoker.ui.console.chat_page import chat_app

    return chat_app(settings)
