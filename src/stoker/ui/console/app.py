"""The web app: the console at `/`, what it shows as JSON and as a stream, and the door to the chat at
`/chat`."""

import asyncio
import html
import json
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stoker.ui.console import source as sources
from stoker.ui.console.api import api
from stoker.ui.console.chat_mount import ChatMount
from stoker.ui.console.endpoint_client import Endpoint
from stoker.ui.console.live import Live
from stoker.ui.console.settings import LOOPBACK, Settings
from stoker.ui.console.source import Source

if TYPE_CHECKING:
    from stoker.operate.cluster import ClusterFleet

STATIC = Path(__file__).parent / "static"
INDEX = (STATIC / "index.html").read_text(encoding="utf-8")
ICON = (STATIC / "icon.svg").read_bytes()
FILES = {
    "uplot-1.6.32.min.js": "text/javascript",
    "uplot-1.6.32.min.css": "text/css",
    "console.js": "text/javascript",
    "console.css": "text/css",
}
BODIES = {name: (STATIC / name).read_bytes() for name in FILES}
# What a model writes may hold images and links: nothing is fetched from another host.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
SAFE = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


class SafeHeaders:
    """Adds the headers that keep every answer of this app to itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SAFE]
            await send(message)

        await self._app(scope, receive, send_safe)


def create(
    settings: Settings, load: Callable[[], Starlette] | None = None, source: Source | None = None
) -> Starlette:
    """The app. `load` makes the chat's app once the endpoint is healthy; by default it imports Gradio.

    source: what is watched; by default what the settings name.
    """
    endpoint = Endpoint(settings.endpoint, settings.model, settings.key)
    chat = ChatMount(
        lambda: endpoint.unhealthy(settings.wait_for), load or (lambda: _chat(endpoint, settings.key))
    )
    app = _App(settings, endpoint, chat, Live(source or watched(settings)))
    hosts = [*LOOPBACK, "[::1]"] if settings.loopback else ["*"]
    return Starlette(
        routes=app.routes(),
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts), Middleware(SafeHeaders)],
        lifespan=app.lifespan,
    )


class _App:
    """What answers, and what runs beside it: the chat is loaded, the fleet is watched."""

    def __init__(self, settings: Settings, endpoint: Endpoint, chat: ChatMount, live: Live) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._chat = chat
        self._live = live
        self._page = index(settings)

    def routes(self) -> list[Route]:
        """Every path of the app."""
        return [
            Route("/", self.start),
            Route("/health", self.health),
            Route("/fleet", self.fleet),
            Route("/static/{name}", _static),
            *api(self._live, self._settings),
            Route("/favicon.ico", _icon),
            Route("/manifest.json", self.manifest),
            Route("/chat", self._chat),
            Route("/chat/{rest:path}", self._chat),
        ]

    async def start(self, _: Request) -> Response:
        return HTMLResponse(self._page)

    async def health(self, _: Request) -> Response:
        return JSONResponse({"chat": self._chat.state, "why": self._chat.why})

    async def fleet(self, _: Request) -> Response:
        why = await self._endpoint.unhealthy()
        said = {"model": self._settings.model, "endpoint": self._endpoint.url, "healthy": not why, "why": why}
        return JSONResponse(
            {**said, "chat": self._chat.state, "chat_why": self._chat.why},
            headers={"cache-control": "no-store"},
        )

    async def manifest(self, _: Request) -> Response:
        """Gradio's page asks for it at the root."""
        return JSONResponse({"name": self._settings.model, "start_url": "/", "icons": []})

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Keeps the chat and the watcher while the app serves."""
        keeping = [asyncio.create_task(self._chat.keep()), asyncio.create_task(self._live.watcher.run())]
        yield
        for one in keeping:
            one.cancel()
        await asyncio.gather(*keeping, return_exceptions=True)
        await self._endpoint.close()


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in FILES:
        return Response(status_code=404)
    known = "max-age=86400" if name.startswith("uplot") else "no-cache"
    return Response(BODIES[name], media_type=FILES[name], headers={"cache-control": known})


async def _icon(_: Request) -> Response:
    return Response(ICON, media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})


def index(settings: Settings) -> str:
    """The start page, filled in."""
    name = settings.fleet or settings.model
    filled = {"name": name, "model": settings.model, "endpoint": settings.endpoint, "curl": curl(settings)}
    page = INDEX
    for name, text in filled.items():
        page = page.replace("{{" + name + "}}", html.escape(text))
    return page


def curl(settings: Settings) -> str:
    """The line to try in a shell; the key is left to the reader's environment."""
    body = {"model": settings.model, "messages": [{"role": "user", "content": "Why is the sky blue?"}]}
    lines = [
        f"curl {shlex.quote(f'{settings.endpoint}/v1/chat/completions')}",
        "-H 'Content-Type: application/json'",
    ]
    lines += ['-H "Authorization: Bearer $API_KEY"'] if settings.key else []
    return " \\\n  ".join([*lines, f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}"])


def watched(settings: Settings) -> Source:
    """The fleet that the settings name, or the endpoint alone."""
    if not settings.fleet:
        return sources.Endpoint(settings.endpoint, settings.model, settings.key)
    if settings.target == "local":
        return sources.Local(settings.fleet)
    from stoker.operate.cluster import connect_cluster

    def fleet() -> "ClusterFleet":
        return connect_cluster(settings.fleet, settings.namespace, settings.context)

    return sources.Cluster(fleet, settings.fleet, inside=settings.inside)


def _chat(endpoint: Endpoint, key: str | None) -> Starlette:
    from stoker.ui.console import chat_page

    return chat_page.load(endpoint, key)
