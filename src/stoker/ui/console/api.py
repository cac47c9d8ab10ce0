"""The console's own routes: figures and logs to read, and two things to do for who holds the key."""

import asyncio
import hmac
import json

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from stoker.errors import StokerError
from stoker.system import peers
from stoker.ui.console.live import Live
from stoker.ui.console.settings import Settings

FRESH = {"cache-control": "no-store"}
LONGEST = 3600.0
MOST_REPLICAS = 1000
LOCKED = "logs are for who holds the key, and for the user whose fleet this is: Unlock"
OWNERS = "logs are for the user whose fleet this is: `stoker logs`"
LOOKS = "this page only looks: `stoker scale`, `stoker restart` or `stoker ui` change the fleet"


def api(live: Live, settings: Settings) -> list[Route]:
    """`/api/...`: all of it is JSON, but the stream."""

    def holds_key(request: Request) -> bool:
        """Whether the visitor holds the endpoint's key; nobody does where there is none."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return settings.key is not None and hmac.compare_digest(given.encode(), settings.key.encode())

    async def may_read(request: Request) -> bool:
        """Whether the visitor may see logs: who holds the key, or, on this machine, the user that this page
        runs as."""
        if holds_key(request):
            return True
        if not settings.loopback:
            return settings.key is None  # its network lets nobody else in
        client, server = request.scope.get("client"), request.scope.get("server")
        if not client or not server:
            return False
        return await asyncio.to_thread(peers.is_own, (client[0], client[1]), (server[0], server[1]))

    acts = bool(settings.fleet) and not settings.inside  # in a cluster its account may look, and nothing else

    async def stream(request: Request) -> Response:
        headers = {**FRESH, "x-accel-buffering": "no"}
        return StreamingResponse(
            live.stream(await may_read(request)), media_type="text/event-stream", headers=headers
        )

    async def now(request: Request) -> Response:
        return JSONResponse(live.now(await may_read(request)), headers=FRESH)

    async def history(request: Request) -> Response:
        try:
            since = min(LONGEST, max(1.0, float(request.query_params.get("since", LONGEST))))
        except ValueError:
            return _wrong(400, "since is a number of seconds")
        return JSONResponse(live.history(since, request.query_params.get("replica", "")), headers=FRESH)

    async def log(request: Request) -> Response:
        if not await may_read(request):
            return _wrong(403, LOCKED if settings.key is not None else OWNERS)
        try:
            lines = await live.log(request.query_params.get("name", ""))
        except StokerError as error:
            return _wrong(404, f"{error.finding.what}: {error.finding.why}")
        return JSONResponse({"lines": lines}, headers=FRESH)

    async def key(request: Request) -> Response:
        said = {"lockable": settings.key is not None, "unlocked": holds_key(request), "acts": acts}
        return JSONResponse(said, headers=FRESH)

    async def scale(request: Request) -> Response:
        if not holds_key(request):
            return _wrong(403, "only who holds the endpoint's key may scale")
        if not acts:
            return _wrong(403, LOOKS)
        try:
            count = json.loads(await request.body())["replicas"]
        except (ValueError, KeyError, TypeError):
            count = None
        if type(count) is not int or not 0 <= count <= MOST_REPLICAS:
            return _wrong(400, f'expected {{"replicas": 0 to {MOST_REPLICAS}}}')
        wrong = await live.act("scale", count)
        return _wrong(409, wrong) if wrong else JSONResponse({"replicas": count}, 202)

    async def restart(request: Request) -> Response:
        if not holds_key(request):
            return _wrong(403, "only who holds the endpoint's key may restart")
        if not acts:
            return _wrong(403, LOOKS)
        wrong = await live.act("restart")
        return _wrong(409, wrong) if wrong else JSONResponse({}, 202)

    return [
        Route("/api/stream", stream),
        Route("/api/now", now),
        Route("/api/history", history),
        Route("/api/log", log),
        Route("/api/key", key),
        Route("/api/scale", scale, methods=["POST"]),
        Route("/api/restart", restart, methods=["POST"]),
    ]


def _wrong(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status, headers=FRESH)
