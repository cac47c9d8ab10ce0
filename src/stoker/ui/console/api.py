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
MOST_REPLICAS, MOST_FIELDS = 1000, 20
LOCKED = "logs are for who holds the key, and for the user whose fleet this is: Unlock"
OWNERS = "logs are for the user whose fleet this is: `stoker logs`"
SIMULATES = "simulating takes this machine's time: for who holds the key, and the user whose fleet this is"
LOOKS = "this page only looks: `stoker scale`, `stoker restart` or `stoker ui` change the fleet"


def api(live: Live, settings: Settings) -> list[Route]:
    """`/api/...`: all of it is JSON, but the stream."""
    mine = _Api(live, settings)
    return [
        Route("/api/stream", mine.stream),
        Route("/api/now", mine.now),
        Route("/api/history", mine.history),
        Route("/api/log", mine.log),
        Route("/api/key", mine.key),
        Route("/api/scale", mine.scale, methods=["POST"]),
        Route("/api/restart", mine.restart, methods=["POST"]),
        Route("/api/foresee", mine.foresee, methods=["POST"]),
    ]


class _Api:
    """A route a method, and who may use it."""

    def __init__(self, live: Live, settings: Settings) -> None:
        self._live = live
        self._settings = settings
        # in a cluster its account may look, and nothing else
        self._acts = bool(settings.fleet) and not settings.inside

    def _holds_key(self, request: Request) -> bool:
        """Whether the visitor holds the endpoint's key; nobody does where there is none."""
        key = self._settings.key
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        return key is not None and hmac.compare_digest(given.encode(), key.encode())

    async def _may_read(self, request: Request) -> bool:
        """Whether the visitor may see logs: who holds the key, or, on this machine, the user that this page
        runs as."""
        if self._holds_key(request):
            return True
        if not self._settings.loopback:
            return self._settings.key is None  # its network lets nobody else in
        client, server = request.scope.get("client"), request.scope.get("server")
        if not client or not server:
            return False
        return await asyncio.to_thread(peers.is_own, (client[0], client[1]), (server[0], server[1]))

    def _may_not(self, request: Request, verb: str) -> Response | None:
        """What a visitor is told who may not change the fleet."""
        if not self._holds_key(request):
            return _wrong(403, f"only who holds the endpoint's key may {verb}")
        return None if self._acts else _wrong(403, LOOKS)

    async def stream(self, request: Request) -> Response:
        headers = {**FRESH, "x-accel-buffering": "no"}
        told = self._live.stream(await self._may_read(request))
        return StreamingResponse(told, media_type="text/event-stream", headers=headers)

    async def now(self, request: Request) -> Response:
        return JSONResponse(self._live.now(await self._may_read(request)), headers=FRESH)

    async def history(self, request: Request) -> Response:
        try:
            since = min(LONGEST, max(1.0, float(request.query_params.get("since", LONGEST))))
        except ValueError:
            return _wrong(400, "since is a number of seconds")
        return JSONResponse(self._live.history(since, request.query_params.get("replica", "")), headers=FRESH)

    async def log(self, request: Request) -> Response:
        if not await self._may_read(request):
            return _wrong(403, LOCKED if self._settings.key is not None else OWNERS)
        try:
            lines = await self._live.log(request.query_params.get("name", ""))
        except StokerError as error:
            return _wrong(404, f"{error.finding.what}: {error.finding.why}")
        return JSONResponse({"lines": lines}, headers=FRESH)

    async def key(self, request: Request) -> Response:
        said = {
            "lockable": self._settings.key is not None,
            "unlocked": self._holds_key(request),
            "acts": self._acts,
        }
        return JSONResponse(said, headers=FRESH)

    async def scale(self, request: Request) -> Response:
        if (refused := self._may_not(request, "scale")) is not None:
            return refused
        try:
            count = json.loads(await request.body())["replicas"]
        except (ValueError, KeyError, TypeError):
            count = None
        if type(count) is not int or not 0 <= count <= MOST_REPLICAS:
            return _wrong(400, f'expected {{"replicas": 0 to {MOST_REPLICAS}}}')
        wrong = await self._live.act("scale", count)
        return _wrong(409, wrong) if wrong else JSONResponse({"replicas": count}, 202)

    async def restart(self, request: Request) -> Response:
        if (refused := self._may_not(request, "restart")) is not None:
            return refused
        wrong = await self._live.act("restart")
        return _wrong(409, wrong) if wrong else JSONResponse({}, 202)

    async def foresee(self, request: Request) -> Response:
        """The newest load test, simulated: for who may read logs, since it takes this machine's time."""
        if not await self._may_read(request):
            return _wrong(403, SIMULATES)
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _wrong(415, "expected JSON")  # which a page of another site cannot send
        try:
            sets = json.loads(await request.body())["sets"]
        except (ValueError, KeyError, TypeError, RecursionError):
            sets = None
        if not isinstance(sets, list) or len(sets) > MOST_FIELDS or not all(type(one) is str for one in sets):
            return _wrong(400, 'expected {"sets": ["replicas=2"]}')
        try:
            return JSONResponse(await self._live.foresee(sets), headers=FRESH)
        except (ValueError, OSError) as error:
            return _wrong(409, str(error))
        except StokerError as error:
            return _wrong(409, f"{error.finding.what}: {error.finding.why}")


def _wrong(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status, headers=FRESH)
